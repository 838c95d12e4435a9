SELECT w.id, w.host, w.pid, w.state, {now} - w.heartbeat_at AS heartbeat_age,
    CAST(CASE WHEN w.heartbeat_at > {now} - $2 AND {connected} THEN 1 ELSE 0 END AS BIGINT) AS alive,
    g.generation, CASE WHEN row_number() OVER (ORDER BY w.id) = 1 THEN g.owners END AS owners
FROM (SELECT CAST($1 AS TEXT) AS name) asked
LEFT JOIN {k}replica_set r ON r.name = asked.name
LEFT JOIN {k}generation g ON g.replica_set = r.name AND g.generation = r.generation
LEFT JOIN {k}worker w ON w.replica_set = asked.name
ORDER BY w.id
