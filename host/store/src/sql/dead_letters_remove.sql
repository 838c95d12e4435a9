DELETE FROM {k}dead_letter WHERE read_model = $1
