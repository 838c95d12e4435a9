UPDATE {k}read_model SET status = $2 WHERE id = $1
