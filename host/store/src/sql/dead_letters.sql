SELECT failure FROM {k}dead_letter WHERE read_model = $1 ORDER BY position LIMIT $2
