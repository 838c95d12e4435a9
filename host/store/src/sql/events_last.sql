SELECT {last_position:$1} AS witness_position, {last_id:$1} AS witness_id,
    coalesce((SELECT max(global_position) FROM {events}), 0) AS head
