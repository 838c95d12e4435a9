SELECT s.seqrelid::regclass::text, s.seqcache, s.seqincrement
FROM pg_sequence s
WHERE s.seqrelid = pg_get_serial_sequence('{events}', 'global_position')::regclass
    OR s.seqrelid IN (
        SELECT dep.refobjid
        FROM pg_attrdef def
        JOIN pg_attribute att ON att.attrelid = def.adrelid AND att.attnum = def.adnum
        JOIN pg_depend dep ON dep.classid = 'pg_attrdef'::regclass AND dep.objid = def.oid
            AND dep.refclassid = 'pg_class'::regclass
        WHERE def.adrelid = '{events}'::regclass AND att.attname = 'global_position'
    )
