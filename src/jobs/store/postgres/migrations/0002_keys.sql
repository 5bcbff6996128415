CREATE TABLE api_keys (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    secret_sha256 BYTEA NOT NULL CHECK (length(secret_sha256) = 32),
    caller TEXT COLLATE "C" NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('reader', 'runner', 'admin')),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    requests_per_minute BIGINT,
    max_unfinished BIGINT,
    note TEXT
);
