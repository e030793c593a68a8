-- Grain: one order, with its customer as known at the order's date and today. Keys: order_id.
{{ config(materialized='view') }}

SELECT
    orders.order_id,
    orders.order_date,
    orders.order_status,
    orders.item_count,
    orders.total_order_value,
    orders.total_freight_value,
    customers.customer_id,
    customers.address AS customer_address,
    customers.state AS customer_state,
    customers.zip_code_prefix AS customer_zip_code_prefix,
    customers.created_date AS customer_created_date,
    current_customers.state AS customer_current_state,
    days.full_date AS order_day,
    days.month_start_date AS order_month,
    days.year_number AS order_year,
    days.quarter_name AS order_quarter,
    days.day_name AS order_day_name,
    days.is_weekend AS ordered_on_weekend,
    approved.full_date AS approved_day,
    carrier.full_date AS delivered_to_carrier_day,
    delivered.full_date AS delivered_to_customer_day,
    estimated.full_date AS estimated_delivery_day,
    delivered.full_date > estimated.full_date AS delivered_late
FROM {{ ref('fact_order_summary') }} AS orders
INNER JOIN {{ ref('dim_customer') }} AS customers ON orders.customer_sk = customers.customer_sk
LEFT JOIN {{ ref('dim_customer') }} AS current_customers
    ON customers.customer_id = current_customers.customer_id AND current_customers.is_current
LEFT JOIN {{ ref('dim_date') }} AS days ON orders.order_date_key = days.date_key
LEFT JOIN {{ ref('dim_date') }} AS approved ON orders.order_approved_date_key = approved.date_key
LEFT JOIN {{ ref('dim_date') }} AS carrier ON orders.delivered_to_carrier_date_key = carrier.date_key
LEFT JOIN {{ ref('dim_date') }} AS delivered ON orders.delivered_to_customer_date_key = delivered.date_key
LEFT JOIN {{ ref('dim_date') }} AS estimated ON orders.estimated_delivery_date_key = estimated.date_key
