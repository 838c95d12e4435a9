SELECT pg_notify('kennel_deployments', '')::text
