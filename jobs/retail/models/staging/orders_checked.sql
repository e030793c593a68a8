-- Grain: one row per order row received. Keys: none.
-- States why a row is rejected (null = valid), so that staging and quarantine split the same rows.
{{ config(materialized='ephemeral') }}

SELECT
    order_id,
    customer_id,
    order_status AS received_status,
    UPPER(TRIM(order_status)) AS order_status,
    order_purchase_date,
    order_approved_at,
    order_delivered_carrier_date,
    order_delivered_customer_date,
    order_estimated_delivery_date,
    CASE
        WHEN COALESCE(order_id, '') = '' OR COALESCE(customer_id, '') = '' THEN 'missing_id'
        WHEN order_purchase_date IS NULL THEN 'missing_purchase_date'
        WHEN UPPER(TRIM(order_status)) IN ('PROCESSING', 'APPROVED', 'SHIPPED', 'DELIVERED') THEN NULL
        ELSE 'unknown_status'
    END AS rejected_because
FROM {{ source('raw', 'orders') }}
