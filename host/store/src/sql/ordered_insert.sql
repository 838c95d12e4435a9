INSERT INTO {k}ordered (projection, command, deployment, author, note, ordered_at)
VALUES ($1, $2, $3, $4, $5, {now})
