SELECT o.deployment, o.reason FROM {k}condition o JOIN {k}deployment d ON d.id = o.deployment
WHERE d.outcome = 'candidate' AND o.reported_at > {now} - $1
ORDER BY o.deployment, o.source
