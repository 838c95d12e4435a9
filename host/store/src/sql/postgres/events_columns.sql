SELECT attname::text AS name FROM pg_attribute
WHERE attrelid = to_regclass({events_name}) AND attnum > 0 AND NOT attisdropped
