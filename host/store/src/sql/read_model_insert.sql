INSERT INTO {k}read_model (projection, place, standing) VALUES ($1, $2, $3) RETURNING id
