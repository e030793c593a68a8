-- Grain: one row per product row received. Keys: none.
-- States why a row is rejected (null = valid), so that staging and quarantine split the same rows.
{{ config(materialized='ephemeral') }}

SELECT
    product_id,
    product_category,
    product_name,
    product_size_label,
    product_width_cm,
    product_length_cm,
    product_height_cm,
    product_price,
    product_created_date,
    product_updated_date,
    COALESCE(product_updated_date, product_created_date) AS valid_from,
    CASE
        WHEN COALESCE(product_id, '') = '' THEN 'missing_id'
        WHEN product_created_date IS NULL THEN 'missing_created_date'
        WHEN product_updated_date < product_created_date THEN 'updated_before_created'
        WHEN product_price IS NULL THEN 'missing_price'
        WHEN product_price < 0 THEN 'negative_price'
        ELSE NULL
    END AS rejected_because
FROM {{ source('raw', 'products') }}
