INSERT INTO {k}replica_set (name, generation) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING
