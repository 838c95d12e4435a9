SELECT m.namespace, m.projection, p.namespace AS view_namespace,
    CAST(CASE WHEN d.id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS serves
FROM {k}read_model m JOIN {k}projection p ON p.name = m.projection
LEFT JOIN {k}deployment d ON d.projection = m.projection AND d.outcome = 'serving' AND d.read_model = m.id
WHERE m.id = $1
