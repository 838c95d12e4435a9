CREATE TABLE {table} (
    key TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    revision BIGINT NOT NULL
)
