SELECT global_position FROM {events}
WHERE global_position <= $1 AND global_position > $1 - 100000
    AND unixepoch(created_at, 'subsec') * 1000000 <= $2
ORDER BY global_position DESC LIMIT 1
