global_position > $1 AND global_position <= $2
    AND ($3::text[] IS NULL OR bounded_context = ANY($3))
    AND ($4::text[] IS NULL OR aggregate_type = ANY($4))
    AND ($5::text[] IS NULL OR event_type = ANY($5))
    AND {in_ranges}
