-- Grain: one order. Keys: order_id.
-- customer_sk is the version valid at order_date; the unknown row where there is none. An order without items has
-- item_count 0 and totals 0. total_order_value is the items' value; freight is apart.
{{ config(partition_by=['month(order_date)']) }}

WITH order_totals AS (
    SELECT
        order_id,
        COUNT(*) AS item_count,
        CAST(SUM(item_value) AS DECIMAL(12, 2)) AS total_order_value,
        CAST(SUM(freight_value) AS DECIMAL(12, 2)) AS total_freight_value,
        MIN(shipping_limit_date) AS min_shipping_limit_date,
        MAX(shipping_limit_date) AS max_shipping_limit_date
    FROM {{ ref('stg_order_items') }}
    GROUP BY order_id
),

customer_versions AS (
    {{ versions(ref('dim_customer'), 'customer') }}
)

SELECT
    orders.order_id,
    COALESCE(customers.customer_sk, {{ unknown_key() }}) AS customer_sk,
    orders.order_status,
    {{ date_key('orders.order_date') }} AS order_date_key,
    {{ date_key('orders.order_approved_date') }} AS order_approved_date_key,
    {{ date_key('orders.delivered_to_carrier_date') }} AS delivered_to_carrier_date_key,
    {{ date_key('orders.delivered_to_customer_date') }} AS delivered_to_customer_date_key,
    {{ date_key('orders.estimated_delivery_date') }} AS estimated_delivery_date_key,
    {{ date_key('order_totals.min_shipping_limit_date') }} AS min_shipping_limit_date_key,
    {{ date_key('order_totals.max_shipping_limit_date') }} AS max_shipping_limit_date_key,
    COALESCE(order_totals.item_count, 0) AS item_count,
    COALESCE(order_totals.total_order_value, CAST(0 AS DECIMAL(12, 2))) AS total_order_value,
    COALESCE(order_totals.total_freight_value, CAST(0 AS DECIMAL(12, 2))) AS total_freight_value,
    orders.order_date
FROM {{ ref('stg_orders') }} AS orders
LEFT JOIN order_totals ON orders.order_id = order_totals.order_id
LEFT JOIN customer_versions AS customers
    ON orders.customer_id = customers.customer_id
    AND {{ valid_at('customers', 'orders.order_date') }}
