SELECT operation, detail, deployment, actor, reason, carried_out_at FROM {k}operation
WHERE projection = $1 ORDER BY id
