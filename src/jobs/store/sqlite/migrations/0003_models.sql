-- which worker holds which models, as it said last
CREATE TABLE models (
    name TEXT NOT NULL,
    worker TEXT NOT NULL,
    rank INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (name, worker)
) STRICT, WITHOUT ROWID;
