DELETE FROM {k}collection WHERE read_model = $1 AND name = $2
