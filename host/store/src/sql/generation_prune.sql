DELETE FROM {k}generation WHERE replica_set = $1 AND generation <= $2
