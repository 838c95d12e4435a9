DELETE FROM {k}obstacle WHERE told_at <= {now} - $1
