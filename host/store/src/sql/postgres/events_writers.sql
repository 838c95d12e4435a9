SELECT DISTINCT l.virtualtransaction, coalesce(l.pid, 0),
    coalesce(a.application_name, CASE WHEN l.pid IS NULL THEN 'a prepared transaction' ELSE '' END),
    coalesce(greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0), 0)::bigint
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.mode = 'RowExclusiveLock'
    AND l.relation = '{events}'::regclass
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
