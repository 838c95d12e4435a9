SELECT view_name FROM {k}published WHERE projection = $1 AND collection = $2
