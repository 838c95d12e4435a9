INSERT INTO {k}deployment (projection, number, digest, descriptor, settings, read_model, origin, outcome, actor, reason,
    from_position, deployed_at, decided_at, state, returns_to)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    (SELECT coalesce(min(position), 0) FROM {k}checkpoint WHERE read_model = $6), {now}, {now}, $11, $12)
