INSERT INTO {k}read_model (projection, namespace, status) VALUES ($1, $2, $3) RETURNING id
