UPDATE {k}published SET view_name = $3, table_name = $4 WHERE projection = $1 AND collection = $2
