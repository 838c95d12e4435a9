CREATE OR REPLACE VIEW {view} AS
SELECT ''::text COLLATE "C" AS key, 'null'::jsonb AS document, 0::bigint AS revision WHERE false
