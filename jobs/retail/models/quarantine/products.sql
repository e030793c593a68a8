-- Grain: one rejected row as received. Keys: none.
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
    rejected_because
FROM {{ ref('products_checked') }} AS checked
WHERE rejected_because IS NOT NULL
