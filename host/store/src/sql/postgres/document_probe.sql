SELECT length($1::jsonb::text)::bigint
