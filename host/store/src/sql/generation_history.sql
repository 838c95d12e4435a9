SELECT generation, owners, cause, {now} - made_at AS age
FROM {k}generation WHERE replica_set = $1 ORDER BY generation DESC LIMIT $2
