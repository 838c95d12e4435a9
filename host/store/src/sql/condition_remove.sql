DELETE FROM {k}condition WHERE deployment = $1 AND source = $2
