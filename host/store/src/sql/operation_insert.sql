INSERT INTO {k}operation (projection, operation, detail, deployment, actor, reason, carried_out_at)
VALUES ($1, $2, $3, $4, $5, $6, {now})
