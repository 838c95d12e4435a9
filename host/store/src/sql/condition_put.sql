INSERT INTO {k}condition AS known (deployment, source, reason, message, since, reported_at)
VALUES ($1, $2, $3, $4, {now}, {now})
ON CONFLICT (deployment, source) DO UPDATE SET
    reason = excluded.reason,
    message = excluded.message,
    since = CASE
        WHEN known.reason = excluded.reason AND known.reported_at > excluded.reported_at - $5 THEN known.since
        ELSE excluded.since
    END,
    reported_at = excluded.reported_at
