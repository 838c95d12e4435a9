SELECT d.id, d.projection, d.number, p.replica_set, d.digest, d.descriptor, d.settings, d.read_model,
    d.outcome, p.activity, p.promotion, d.from_position, {now} - d.deployed_at AS age, d.state, d.last_failure,
    (SELECT count(*) FROM {k}dead_letter l WHERE l.read_model = d.read_model) AS dead_letters, p.fenced
FROM {k}deployment d JOIN {k}projection p ON p.name = d.projection
WHERE d.outcome IN ('serving', 'candidate') AND p.activity <> 'retired'
ORDER BY d.projection, d.number
