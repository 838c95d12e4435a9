-- The last event of the log, how many lie between two positions, the last event at or below a third, and since when the
-- server runs.
SELECT coalesce(head.global_position, 0)::bigint AS head, coalesce(head.event_id::text, '') AS head_id,
    (SELECT count(*) FROM {events} WHERE global_position > $1 AND global_position <= $2) AS grown,
    {last_position:$3}::bigint AS witness_position, {last_id:$3} AS witness_id,
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint AS server
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT global_position, event_id FROM {events} ORDER BY global_position DESC LIMIT 1
) AS head ON true
