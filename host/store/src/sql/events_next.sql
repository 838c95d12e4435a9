SELECT min(global_position) AS next FROM {events} WHERE global_position > $1
