-- The last event of the log, how many lie between two positions, the last event at or below a third, and since when the
-- server runs.
SELECT coalesce(head.global_position, 0)::bigint, coalesce(head.event_id::text, ''),
    (SELECT count(*) FROM {events} WHERE global_position > $1 AND global_position <= $2),
    {last_position:$3}::bigint, {last_id:$3},
    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT global_position, event_id FROM {events} ORDER BY global_position DESC LIMIT 1
) AS head ON true
