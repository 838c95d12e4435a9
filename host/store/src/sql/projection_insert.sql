INSERT INTO {k}projection (name, replica_set, place, activity, switch, frozen) VALUES ($1, $2, $3, $4, $5, $6)
