DELETE FROM {k}collection WHERE read_model = $1
