INSERT INTO {k}component (digest, bytes, stored_at, wanted_at) VALUES ($1, $2, {now}, {now})
ON CONFLICT (digest) DO UPDATE SET wanted_at = excluded.wanted_at
