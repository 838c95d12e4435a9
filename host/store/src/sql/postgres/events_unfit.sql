-- Faults of the log, worst first: no row if it can be followed without missing an event.
WITH RECURSIVE {events_members}, policy AS (
    SELECT p.polpermissive, pg_get_expr(p.polqual, p.polrelid) IS NOT DISTINCT FROM 'true' AS shows_all
    FROM root JOIN pg_policy p ON p.polrelid = root.oid
    WHERE p.polcmd IN ('r', '*') AND EXISTS (
        SELECT FROM unnest(p.polroles) role (oid)
        WHERE CASE role.oid WHEN 0 THEN true ELSE pg_has_role(role.oid, 'USAGE') END
    )
)
SELECT fault, subject, detail, quote_ident(current_user) AS role
FROM (
    SELECT 1, 'gone', '', '' FROM root WHERE oid IS NULL
    UNION ALL
    SELECT 2, 'kind', c.oid::regclass::text, c.relkind::text
    FROM member JOIN pg_class c ON c.oid = member.oid WHERE c.relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT 3, 'privilege', oid::regclass::text, '' FROM root WHERE NOT has_table_privilege(oid, 'SELECT')
    UNION ALL
    SELECT 4, 'policy', oid::regclass::text, '' FROM root
    WHERE row_security_active(oid) AND NOT coalesce((
        SELECT bool_or(shows_all) FILTER (WHERE polpermissive)
            AND coalesce(bool_and(shows_all) FILTER (WHERE NOT polpermissive), true)
        FROM policy
    ), false)
    UNION ALL
    SELECT DISTINCT 5, 'subscription', s.subname::text, sr.srrelid::regclass::text
    FROM member
    JOIN pg_subscription_rel sr ON sr.srrelid = member.oid
    JOIN pg_stat_subscription s ON s.subid = sr.srsubid
    UNION ALL
    SELECT 6, 'default', def.adrelid::regclass::text, pg_get_expr(def.adbin, def.adrelid)
    FROM position_column a JOIN pg_attrdef def ON def.adrelid = a.attrelid AND def.adnum = a.attnum
    WHERE pg_get_expr(def.adbin, def.adrelid) !~ '^nextval\(''[^()]*''::regclass\)$'
    UNION ALL
    SELECT 7, CASE count(*) WHEN 0 THEN 'no sequence' ELSE 'sequences' END,
        coalesce(string_agg(sequence::regclass::text, ', ' ORDER BY sequence), ''), ''
    FROM drawn HAVING count(*) <> 1
    UNION ALL
    SELECT 8, 'cache', s.seqrelid::regclass::text, s.seqcache::text
    FROM drawn JOIN pg_sequence s ON s.seqrelid = drawn.sequence WHERE s.seqcache <> 1
    UNION ALL
    SELECT 9, 'step', s.seqrelid::regclass::text, s.seqincrement::text
    FROM drawn JOIN pg_sequence s ON s.seqrelid = drawn.sequence WHERE s.seqincrement < 1
    UNION ALL
    SELECT 10, 'cycle', s.seqrelid::regclass::text, ''
    FROM drawn JOIN pg_sequence s ON s.seqrelid = drawn.sequence WHERE s.seqcycle
    UNION ALL
    SELECT 11, 'unlogged', c.oid::regclass::text, ''
    FROM drawn JOIN pg_class c ON c.oid = drawn.sequence WHERE c.relpersistence <> 'p'
) found (severity, fault, subject, detail)
ORDER BY severity, subject
