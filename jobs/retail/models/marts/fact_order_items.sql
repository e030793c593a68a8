-- Grain: one order item. Keys: order_id, order_item_id.
-- product_sk and seller_sk are the versions valid at order_date; the unknown row where there is none.
{{ config(partition_by=['month(order_date)']) }}

WITH product_versions AS (
    {{ versions(ref('dim_product'), 'product') }}
),

seller_versions AS (
    {{ versions(ref('dim_seller'), 'seller') }}
)

SELECT
    items.order_id,
    items.order_item_id,
    COALESCE(products.product_sk, {{ unknown_key() }}) AS product_sk,
    COALESCE(sellers.seller_sk, {{ unknown_key() }}) AS seller_sk,
    {{ date_key('items.order_date') }} AS order_date_key,
    {{ date_key('items.shipping_limit_date') }} AS shipping_limit_date_key,
    items.item_value,
    items.freight_value,
    items.order_date
FROM {{ ref('stg_order_items') }} AS items
LEFT JOIN product_versions AS products
    ON items.product_id = products.product_id
    AND {{ valid_at('products', 'items.order_date') }}
LEFT JOIN seller_versions AS sellers
    ON items.seller_id = sellers.seller_id
    AND {{ valid_at('sellers', 'items.order_date') }}
