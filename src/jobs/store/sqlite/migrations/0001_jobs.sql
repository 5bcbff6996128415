-- Times are UTC milliseconds since 1970; columns that no index needs and that may be long come last.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL,
    caller TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    priority INTEGER NOT NULL,
    model TEXT NOT NULL,
    method TEXT NOT NULL,
    steps INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    run_after INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    idempotency_key TEXT,
    request_sha256 TEXT,
    rerun_of TEXT,
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
) STRICT;

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
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (key, value, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_of_job ON labels (job);

CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;

-- whose turn it is: the caller with the lowest number, or with none, was served longest ago
CREATE TABLE callers (
    name TEXT PRIMARY KEY NOT NULL,
    served INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX callers_served ON callers (served);

-- one row that is written to see whether the database can be written
CREATE TABLE pings (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
