SELECT pg_notify('kennel_workers', '')::text
