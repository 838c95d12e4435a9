INSERT INTO {k}deployment
    (projection, number, replica_set, digest, descriptor, settings, read_schema, author, deployed_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {now}, $9)
RETURNING id
