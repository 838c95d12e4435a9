SELECT d.id, d.projection, d.number, d.replica_set, d.digest, d.descriptor, d.settings
FROM {k}projection p JOIN {k}deployment d ON d.id = p.deployment
WHERE d.replica_set = $1
ORDER BY d.projection
