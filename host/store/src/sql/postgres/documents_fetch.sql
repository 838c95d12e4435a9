SELECT key, document::text AS document, revision FROM {table} WHERE key = ANY($1)
