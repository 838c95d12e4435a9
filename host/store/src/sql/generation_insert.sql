INSERT INTO {k}generation (replica_set, generation, owners, cause, made_at) VALUES ($1, $2, $3, $4, {now})
