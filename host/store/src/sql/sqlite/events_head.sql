SELECT coalesce(max(global_position), 0) FROM {events}
