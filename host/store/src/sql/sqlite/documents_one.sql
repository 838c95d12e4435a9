SELECT key, document, revision FROM {table} WHERE key = $1
