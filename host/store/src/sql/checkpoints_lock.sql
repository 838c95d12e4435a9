UPDATE {k}checkpoint SET generation = 0 WHERE read_model = $1
