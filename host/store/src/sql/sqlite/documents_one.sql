SELECT key, document, revision, octet_length(document) AS bytes FROM {table} WHERE key = $1
