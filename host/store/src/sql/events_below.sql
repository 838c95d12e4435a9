SELECT min(global_position) AS lowest FROM {events} WHERE global_position < 1
