SELECT collection, view_name FROM {k}published WHERE projection = $1 ORDER BY collection
