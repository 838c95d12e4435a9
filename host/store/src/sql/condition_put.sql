INSERT INTO {k}condition (deployment, source, reason, reported_at) VALUES ($1, $2, $3, {now})
ON CONFLICT (deployment, source) DO UPDATE SET reason = excluded.reason, reported_at = excluded.reported_at
