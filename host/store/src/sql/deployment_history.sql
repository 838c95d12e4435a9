SELECT d.id, d.projection, d.number, p.replica_set, d.digest, d.descriptor, d.settings, d.read_model,
    d.outcome, d.origin, d.actor, d.reason, d.from_position, d.deployed_at, d.decided_at, d.returns_to
FROM {k}deployment d JOIN {k}projection p ON p.name = d.projection
WHERE d.projection = $1
ORDER BY d.number
