INSERT INTO {k}dead_letter (read_model, position, failure, recorded_at) VALUES ($1, $2, $3, {now})
ON CONFLICT (read_model, position) DO UPDATE SET failure = excluded.failure, recorded_at = excluded.recorded_at
