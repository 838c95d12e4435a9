SELECT {last_position:$1}, {last_id:$1}, coalesce((SELECT max(global_position) FROM {events}), 0)
