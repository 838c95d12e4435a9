INSERT INTO {k}projection (name, deployment) VALUES ($1, $2)
