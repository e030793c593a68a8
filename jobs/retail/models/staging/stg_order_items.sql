-- Grain: one row per order item of a known order. Keys: order_id, order_item_id.
-- Of all rows received of an item the one with the latest shipping limit wins; the keys after it settle what is
-- left, so that the same row wins in every run. Items of orders that staging does not hold wait in quarantine.
WITH received AS (
    SELECT *
    FROM {{ ref('order_items_checked') }} AS checked
    WHERE rejected_because IS NULL
),

ranked AS (
    SELECT
        order_id,
        order_item_id,
        product_id,
        seller_id,
        shipping_limit_date,
        price,
        freight_value,
        ROW_NUMBER() OVER (
            PARTITION BY order_id, order_item_id
            ORDER BY
                shipping_limit_date DESC NULLS LAST,
                price DESC,
                freight_value DESC,
                product_id,
                seller_id
        ) AS rn
    FROM received
),

items AS (
    SELECT *
    FROM ranked
    WHERE rn = 1
)

SELECT
    items.order_id,
    items.order_item_id,
    items.product_id,
    items.seller_id,
    orders.order_date,
    items.shipping_limit_date,
    items.price AS item_value,
    items.freight_value
FROM items
INNER JOIN {{ ref('stg_orders') }} AS orders ON items.order_id = orders.order_id
