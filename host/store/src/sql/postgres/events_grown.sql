SELECT coalesce(max(global_position), 0)::bigint,
    (SELECT count(*) FROM {events} WHERE global_position > $1 AND global_position <= $2)
FROM {events}
