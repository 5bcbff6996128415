-- which worker holds which models, as it said last
CREATE TABLE models (
    name TEXT COLLATE "C" NOT NULL,
    worker TEXT COLLATE "C" NOT NULL,
    rank BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (name, worker)
);
