UPDATE {k}projection SET replica_set = $2, activity = $3, promotion = $4, fenced = $5 WHERE name = $1
