-- Grain: one order item, with its seller and product as known at the order's date. Keys: order_id, order_item_id.
{{ config(materialized='view') }}

SELECT
    items.order_id,
    items.order_item_id,
    items.order_date,
    orders.order_status,
    items.item_value,
    items.freight_value,
    sellers.seller_id,
    sellers.address AS seller_address,
    sellers.state AS seller_state,
    sellers.zip_code_prefix AS seller_zip_code_prefix,
    products.product_id,
    products.product_name,
    products.category_name AS product_category_name,
    products.price AS product_list_price,
    days.full_date AS order_day,
    days.month_start_date AS order_month,
    days.year_number AS order_year,
    days.quarter_name AS order_quarter,
    shipping.full_date AS shipping_limit_day,
    carrier.full_date AS delivered_to_carrier_day,
    carrier.full_date > shipping.full_date AS shipped_late
FROM {{ ref('fact_order_items') }} AS items
INNER JOIN {{ ref('fact_order_summary') }} AS orders ON items.order_id = orders.order_id
INNER JOIN {{ ref('dim_seller') }} AS sellers ON items.seller_sk = sellers.seller_sk
INNER JOIN {{ ref('dim_product') }} AS products ON items.product_sk = products.product_sk
LEFT JOIN {{ ref('dim_date') }} AS days ON items.order_date_key = days.date_key
LEFT JOIN {{ ref('dim_date') }} AS shipping ON items.shipping_limit_date_key = shipping.date_key
LEFT JOIN {{ ref('dim_date') }} AS carrier ON orders.delivered_to_carrier_date_key = carrier.date_key
