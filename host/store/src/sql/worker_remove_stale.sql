DELETE FROM {k}worker WHERE id = $1 AND NOT (heartbeat_at > {now} - $2 AND {connected})
