-- The transactions that may hold a position which is not visible. A transaction that has called `nextval` holds a
-- lock on the sequence until its end, one that has inserted holds a lock on the table that the row went to. A
-- prepared transaction has no process; its number leads to its name.
WITH RECURSIVE {events_members}, held AS MATERIALIZED (
    SELECT locktype, relation, virtualtransaction, transactionid, pid, mode, granted FROM pg_locks
    WHERE locktype = 'transactionid' AND pid IS NULL
        OR locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT DISTINCT held.virtualtransaction AS transaction, held.pid, coalesce(a.application_name, '') AS application,
    p.gid AS prepared,
    extract(epoch FROM clock_timestamp() - coalesce(p.prepared, a.xact_start))::bigint AS open_seconds,
    pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all, quote_ident(current_user) AS role,
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS server
FROM held
LEFT JOIN pg_stat_activity a ON a.pid = held.pid
LEFT JOIN held number ON held.pid IS NULL AND number.locktype = 'transactionid'
    AND number.virtualtransaction = held.virtualtransaction
LEFT JOIN pg_prepared_xacts p ON p.transaction = number.transactionid
WHERE held.locktype = 'relation' AND held.granted AND held.mode = 'RowExclusiveLock'
    AND (held.relation IN (SELECT oid FROM member) OR held.relation IN (SELECT sequence FROM drawn))
ORDER BY held.pid
