CREATE TABLE {table} (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document JSONB NOT NULL,
    revision BIGINT NOT NULL
) WITH (fillfactor = 80)
