SELECT generation FROM {k}replica_set WHERE name = $1 {for_update}
