DELETE FROM {k}component
WHERE digest = $1 AND wanted_at < {now} - $2
    AND NOT EXISTS (SELECT 1 FROM {k}deployment d WHERE d.digest = $1)
