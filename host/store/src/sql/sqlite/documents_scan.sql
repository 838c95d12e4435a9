-- As when documents are fetched, none of these rows is large.
SELECT key, CASE WHEN octet_length(document) <= 16384 THEN document END AS document, revision,
    octet_length(document) AS bytes
FROM {table} WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3
