SELECT key, revision FROM {table} WHERE key = ANY($1) ORDER BY key FOR SHARE
