SELECT min(global_position) FROM {events} WHERE global_position < 1
