INSERT INTO {k}collection (read_model, name, table_name) VALUES ($1, $2, $3)
