DELETE FROM {k}obstacle WHERE deployment = $1 AND source = $2
