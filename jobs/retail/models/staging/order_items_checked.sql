-- Grain: one row per order item row received. Keys: none.
-- States why a row is rejected (null = valid), so that staging and quarantine split the same rows.
{{ config(materialized='ephemeral') }}

SELECT
    order_id,
    order_item_id,
    product_id,
    seller_id,
    shipping_limit_date,
    price,
    freight_value,
    CASE
        WHEN COALESCE(order_id, '') = '' OR COALESCE(order_item_id, '') = ''
            OR COALESCE(product_id, '') = '' OR COALESCE(seller_id, '') = '' THEN 'missing_id'
        WHEN price IS NULL THEN 'missing_price'
        WHEN price < 0 THEN 'negative_price'
        WHEN freight_value IS NULL THEN 'missing_freight_value'
        WHEN freight_value < 0 THEN 'negative_freight_value'
        ELSE NULL
    END AS rejected_because
FROM {{ source('raw', 'order_items') }}
