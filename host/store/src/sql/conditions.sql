SELECT c.deployment, c.source, c.reason, c.message, c.since
FROM {k}condition c JOIN {k}deployment d ON d.id = c.deployment
WHERE d.outcome IN ('serving', 'candidate') AND c.reported_at > {now} - $1
ORDER BY c.deployment, c.source
