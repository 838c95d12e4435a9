INSERT INTO {k}collection (deployment, name, table_name) VALUES ($1, $2, $3)
