SELECT o.deployment, o.reason FROM {k}obstacle o JOIN {k}deployment d ON d.id = o.deployment
WHERE d.outcome = 'building' AND o.told_at > {now} - $1
ORDER BY o.deployment, o.source
