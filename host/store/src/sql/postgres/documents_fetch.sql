SELECT key, document::text, revision FROM {table} WHERE key = ANY($1)
