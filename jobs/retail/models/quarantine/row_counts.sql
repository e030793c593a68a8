-- Grain: one source of the marketplace channel. Keys: source_name.
-- Where every row read went: rows_read = rows_kept + duplicates_dropped + rows_quarantined.
WITH counted AS (
    SELECT
        'customers' AS source_name,
        (SELECT COUNT(*) FROM {{ source('raw', 'customers') }}) AS rows_read,
        (SELECT COUNT(*) FROM {{ ref('stg_customers') }}) AS rows_kept,
        (SELECT COUNT(*) FROM {{ ref('customers') }}) AS rows_quarantined
    UNION ALL
    SELECT
        'sellers',
        (SELECT COUNT(*) FROM {{ source('raw', 'sellers') }}),
        (SELECT COUNT(*) FROM {{ ref('stg_sellers') }}),
        (SELECT COUNT(*) FROM {{ ref('sellers') }})
    UNION ALL
    SELECT
        'products',
        (SELECT COUNT(*) FROM {{ source('raw', 'products') }}),
        (SELECT COUNT(*) FROM {{ ref('stg_products') }}),
        (SELECT COUNT(*) FROM {{ ref('products') }})
    UNION ALL
    SELECT
        'orders',
        (SELECT COUNT(*) FROM {{ source('raw', 'orders') }}),
        (SELECT COUNT(*) FROM {{ ref('stg_orders') }}),
        (SELECT COUNT(*) FROM {{ ref('orders') }})
    UNION ALL
    SELECT
        'order_items',
        (SELECT COUNT(*) FROM {{ source('raw', 'order_items') }}),
        (SELECT COUNT(*) FROM {{ ref('stg_order_items') }}),
        (SELECT COUNT(*) FROM {{ ref('order_items') }})
)

SELECT
    source_name,
    rows_read,
    rows_kept,
    rows_read - rows_kept - rows_quarantined AS duplicates_dropped,
    rows_quarantined
FROM counted
