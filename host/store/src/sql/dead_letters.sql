SELECT failure FROM {k}dead_letter WHERE deployment = $1 ORDER BY position LIMIT $2
