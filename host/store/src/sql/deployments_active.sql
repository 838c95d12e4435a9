SELECT d.id, d.projection, d.number, p.replica_set, d.digest, d.descriptor, d.settings, d.read_model, d.outcome
FROM {k}deployment d JOIN {k}projection p ON p.name = d.projection
WHERE p.replica_set = $1 AND p.activity = 'running' AND d.outcome IN ('serving', 'candidate')
ORDER BY d.projection, d.number
