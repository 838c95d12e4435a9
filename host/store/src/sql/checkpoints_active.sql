SELECT c.deployment, c.range_start, c.range_end, c.position, c.generation
FROM {k}projection p JOIN {k}checkpoint c ON c.deployment = p.deployment
ORDER BY c.deployment, c.range_start
