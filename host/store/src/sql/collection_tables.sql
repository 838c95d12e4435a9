SELECT name, table_name FROM {k}collection WHERE read_model = $1 ORDER BY name
