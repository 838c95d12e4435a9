SELECT d.id, d.projection, d.number, p.replica_set, d.digest, d.descriptor, d.settings, d.read_model
FROM {k}deployment d JOIN {k}projection p ON p.name = d.projection
WHERE d.projection = $1 AND d.outcome = 'serving'
