INSERT INTO {k}obstacle (deployment, source, reason, told_at) VALUES ($1, $2, $3, {now})
ON CONFLICT (deployment, source) DO UPDATE SET reason = excluded.reason, told_at = excluded.told_at
