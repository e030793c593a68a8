-- Six sales in three shops.
SELECT column1 AS shop, CAST(column2 AS DECIMAL(12, 2)) AS amount
FROM (VALUES ('north', 5), ('north', 15), ('south', 20), ('south', 10), ('west', 4), ('west', 6))
