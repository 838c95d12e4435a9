UPDATE {k}component SET wanted_at = {now} WHERE digest = $1
