INSERT INTO {k}worker (id, replica_set, host, pid, state, heartbeat_at, lock_key)
VALUES ($1, $2, $3, $4, $5, {now}, $6)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, lock_key = excluded.lock_key
