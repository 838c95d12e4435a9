-- One partition that retries does not hide that another is halted.
UPDATE {k}deployment SET state = $2, last_failure = coalesce($3, last_failure)
WHERE id = $1 AND NOT (state = 'halted' AND $2 = 'retrying')
