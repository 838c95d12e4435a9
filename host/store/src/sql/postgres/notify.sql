SELECT pg_notify('kennel_events', '')::text
