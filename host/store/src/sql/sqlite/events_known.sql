SELECT event_id FROM {events} WHERE event_id IN (SELECT value FROM json_each($1))
