UPDATE {k}read_model SET standing = $2 WHERE id = $1
