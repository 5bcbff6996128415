CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    caller TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('reader', 'runner', 'admin')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    requests_per_minute INTEGER,
    max_unfinished INTEGER,
    note TEXT
) STRICT, WITHOUT ROWID;
