SELECT coalesce(max(global_position), 0)::bigint FROM {events}
