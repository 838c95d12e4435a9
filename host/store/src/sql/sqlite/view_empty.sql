CREATE VIEW {view} AS SELECT '' AS key, 'null' AS document, 0 AS revision WHERE false
