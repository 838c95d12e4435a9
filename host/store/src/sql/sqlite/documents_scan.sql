-- As when documents are fetched, none of these rows is large.
SELECT key, CASE WHEN octet_length(document) <= 16384 THEN document END, revision, octet_length(document)
FROM {table} WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3
