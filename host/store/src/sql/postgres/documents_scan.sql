SELECT key, document::text AS document, revision FROM {table} WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3
