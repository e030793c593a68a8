-- Grain: one seller with sales. Keys: seller_id.
-- Revenue, orders and punctuality of each seller; the items of sellers that no delivery knows are left out.
WITH seller_items AS (
    SELECT
        sellers.seller_id,
        COUNT(*) AS items,
        COUNT(DISTINCT items.order_id) AS orders,
        COUNT(DISTINCT items.product_sk) AS product_versions,
        SUM(items.item_value) AS revenue,
        SUM(items.freight_value) AS freight,
        SUM(CASE WHEN orders.delivered_to_carrier_date_key > items.shipping_limit_date_key
                AND items.shipping_limit_date_key > 0 THEN 1 ELSE 0 END) AS items_shipped_late
    FROM {{ ref('fact_order_items') }} AS items
    INNER JOIN {{ ref('fact_order_summary') }} AS orders ON items.order_id = orders.order_id
    INNER JOIN {{ ref('dim_seller') }} AS sellers ON items.seller_sk = sellers.seller_sk
    WHERE items.seller_sk <> {{ unknown_key() }}
    GROUP BY sellers.seller_id
)

SELECT
    seller_items.seller_id,
    sellers.state AS seller_state,
    seller_items.orders,
    seller_items.items,
    seller_items.product_versions,
    CAST(seller_items.revenue AS DECIMAL(18, 2)) AS revenue,
    CAST(seller_items.freight AS DECIMAL(18, 2)) AS freight,
    {{ average_money('seller_items.revenue', 'seller_items.items') }} AS average_item_value,
    seller_items.items_shipped_late,
    RANK() OVER (ORDER BY seller_items.revenue DESC) AS revenue_rank
FROM seller_items
INNER JOIN {{ ref('dim_seller') }} AS sellers
    ON seller_items.seller_id = sellers.seller_id AND sellers.is_current
ORDER BY revenue_rank, seller_items.seller_id
