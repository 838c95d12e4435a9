SELECT id, host, pid, state, {now} - heartbeat_at AS heartbeat_age,
    CAST(CASE WHEN heartbeat_at > {now} - $2 AND {connected} THEN 1 ELSE 0 END AS BIGINT) AS alive
FROM {k}worker WHERE replica_set = $1 ORDER BY id
