SELECT d.id, d.projection, d.number, d.replica_set, d.digest, d.descriptor, d.settings, d.state, d.last_failure,
    (SELECT count(*) FROM {k}dead_letter l WHERE l.deployment = d.id)
FROM {k}projection p JOIN {k}deployment d ON d.id = p.deployment
ORDER BY d.projection
