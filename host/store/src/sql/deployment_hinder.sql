UPDATE {k}deployment SET obstacle = $2 WHERE id = $1
