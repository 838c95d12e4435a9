SELECT name FROM {k}projection ORDER BY name
