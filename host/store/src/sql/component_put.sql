INSERT INTO {k}component (digest, bytes, stored_at) VALUES ($1, $2, {now})
ON CONFLICT (digest) DO NOTHING
