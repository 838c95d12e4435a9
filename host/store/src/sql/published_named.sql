SELECT collection FROM {k}published WHERE view_name = $1
