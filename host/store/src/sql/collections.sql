SELECT name FROM {k}collection WHERE deployment = $1 ORDER BY name
