UPDATE {k}projection SET replica_set = $2, activity = $3, switch = $4, frozen = $5 WHERE name = $1
