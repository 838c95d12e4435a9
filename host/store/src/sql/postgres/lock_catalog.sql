SELECT pg_advisory_xact_lock(7308604896915810931)::text
