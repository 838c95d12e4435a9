UPDATE {k}worker SET heartbeat_at = {now}, state = $2 WHERE id = $1 RETURNING id
