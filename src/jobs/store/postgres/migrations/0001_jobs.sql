-- Times are UTC milliseconds since 1970. Names compare byte by byte, as they do in SQLite.
CREATE TABLE jobs (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    priority INTEGER NOT NULL,
    model TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    steps BIGINT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    cancel_requested BOOLEAN NOT NULL DEFAULT false,
    worker TEXT COLLATE "C",
    lease_until BIGINT,
    created_at BIGINT NOT NULL,
    run_after BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    idempotency_key TEXT COLLATE "C",
    request_sha256 TEXT,
    rerun_of TEXT COLLATE "C",
    request_id TEXT,
    progress TEXT NOT NULL,
    failure TEXT,
    inputs TEXT NOT NULL,
    spec TEXT NOT NULL,
    outcome TEXT,
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state = 'succeeded') = (outcome IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (attempt BETWEEN 0 AND max_attempts)
);

-- the queue as a claim walks it: one model, one priority, from caller to caller
CREATE INDEX jobs_queue ON jobs (model, priority, caller, id, run_after) WHERE state = 'queued';
-- the queue as a place is counted
CREATE INDEX jobs_waiting ON jobs (priority, id, steps) WHERE state = 'queued';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_unfinished ON jobs (caller) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_ended ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (caller, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- lists are newest first; these hold all that a filter looks at, so that the rows passed over are not read
CREATE INDEX jobs_listed ON jobs (id, caller, state, model, method, created_at);
CREATE INDEX jobs_listed_by_caller ON jobs (caller, id, state, model, method, created_at);

CREATE TABLE labels (
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    job TEXT COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (key, value, job)
);
CREATE INDEX labels_of_job ON labels (job);

CREATE TABLE events (
    job TEXT COLLATE "C" NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, sequence)
);

-- whose turn it is: the caller with the lowest number, or with none, was served longest ago
CREATE TABLE callers (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    served BIGINT NOT NULL
);
CREATE INDEX callers_served ON callers (served);

-- one row that is written to see whether the database can be written
CREATE TABLE pings (id INTEGER PRIMARY KEY CHECK (id = 1), at BIGINT NOT NULL);
