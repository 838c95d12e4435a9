-- The driver reads rows ahead, so none may be large: a long document is left out, and the row is read by
-- itself.
SELECT key, CASE WHEN octet_length(document) <= 16384 THEN document END AS document, revision,
    octet_length(document) AS bytes
FROM {table} WHERE key IN (SELECT value FROM json_each($1))
