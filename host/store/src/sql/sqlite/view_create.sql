CREATE VIEW {view} AS SELECT key, document, revision FROM {table}
