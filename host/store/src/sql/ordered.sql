SELECT command, deployment, author, note, ordered_at FROM {k}ordered WHERE projection = $1 ORDER BY id
