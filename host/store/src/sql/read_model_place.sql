SELECT m.place, m.projection, p.place,
    CAST(CASE WHEN d.id IS NULL THEN 0 ELSE 1 END AS BIGINT)
FROM {k}read_model m JOIN {k}projection p ON p.name = m.projection
LEFT JOIN {k}deployment d ON d.projection = m.projection AND d.outcome = 'live' AND d.read_model = m.id
WHERE m.id = $1
