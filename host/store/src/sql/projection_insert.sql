INSERT INTO {k}projection (name, replica_set, namespace, activity, promotion, fenced) VALUES ($1, $2, $3, $4, $5, $6)
