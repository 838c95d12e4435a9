SELECT c.digest, CAST(length(c.bytes) AS BIGINT) AS bytes, c.stored_at, d.projection, d.number
FROM {k}component c LEFT JOIN {k}deployment d ON d.digest = c.digest
ORDER BY c.stored_at DESC, c.digest, d.projection, d.number
