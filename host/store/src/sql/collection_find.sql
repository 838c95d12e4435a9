SELECT table_name FROM {k}collection WHERE read_model = $1 AND name = $2
