-- What each shop sold.
SELECT shop, sum(amount) AS total
FROM {{ ref('sales') }}
GROUP BY shop
