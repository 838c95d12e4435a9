root (oid) AS (
    SELECT to_regclass({events_name})::oid
), member (oid) AS (
    SELECT oid FROM root
    UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN member ON i.inhparent = member.oid
), position_column AS (
    SELECT a.attrelid, a.attnum
    FROM member JOIN pg_attribute a ON a.attrelid = member.oid AND a.attname = 'global_position'
), drawn (sequence) AS (
    SELECT d.refobjid
    FROM position_column a
    JOIN pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = def.oid
        AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
    UNION
    SELECT d.objid
    FROM position_column a
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
        AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
)
