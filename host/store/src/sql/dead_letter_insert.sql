INSERT INTO {k}dead_letter (deployment, position, failure, recorded_at) VALUES ($1, $2, $3, {now})
ON CONFLICT (deployment, position) DO UPDATE SET failure = excluded.failure, recorded_at = excluded.recorded_at
