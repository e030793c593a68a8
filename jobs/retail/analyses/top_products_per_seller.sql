-- Grain: one product of a seller, at most five per seller. Keys: seller_id, product_id.
-- The five products that bring each seller most revenue; equal revenue goes by product_id.
WITH seller_products AS (
    SELECT
        sellers.seller_id,
        products.product_id,
        COUNT(*) AS items,
        SUM(items.item_value) AS revenue
    FROM {{ ref('fact_order_items') }} AS items
    INNER JOIN {{ ref('dim_seller') }} AS sellers ON items.seller_sk = sellers.seller_sk
    INNER JOIN {{ ref('dim_product') }} AS products ON items.product_sk = products.product_sk
    WHERE items.seller_sk <> {{ unknown_key() }} AND items.product_sk <> {{ unknown_key() }}
    GROUP BY sellers.seller_id, products.product_id
),

ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY seller_id ORDER BY revenue DESC, product_id) AS product_rank
    FROM seller_products
)

SELECT
    seller_id,
    CAST(product_rank AS INTEGER) AS product_rank,
    product_id,
    items,
    CAST(revenue AS DECIMAL(18, 2)) AS revenue
FROM ranked
WHERE product_rank <= 5
ORDER BY seller_id, product_rank
