INSERT INTO {k}operation (projection, operation, deployment, actor, reason, carried_out_at)
VALUES ($1, $2, $3, $4, $5, {now})
