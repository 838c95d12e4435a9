UPDATE {k}worker SET heartbeat_at = {now}, state = $2
WHERE id IN (SELECT id FROM {k}worker WHERE id IN ({listed}) ORDER BY id {for_update})
RETURNING id
