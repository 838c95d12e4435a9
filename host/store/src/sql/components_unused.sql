SELECT c.digest FROM {k}component c
WHERE c.wanted_at < {now} - $1 AND NOT EXISTS (SELECT 1 FROM {k}deployment d WHERE d.digest = c.digest)
