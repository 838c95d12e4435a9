INSERT INTO {k}published (projection, collection, view_name, table_name) VALUES ($1, $2, $3, $4)
