UPDATE {k}replica_set SET generation = $2 WHERE name = $1
