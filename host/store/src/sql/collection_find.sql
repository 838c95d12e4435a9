SELECT table_name FROM {k}collection WHERE deployment = $1 AND name = $2
