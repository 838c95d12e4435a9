UPDATE {k}deployment SET outcome = $3, decided_at = {now} WHERE projection = $1 AND number = $2
