-- Grain: one row per version received of a product. Keys: product_id, valid_from.
-- Where two rows share the key but differ, the one with an updated date wins, then the highest price, then the
-- greatest text: an arbitrary choice that is the same in every run, whatever arrived first.
WITH received AS (
    SELECT *
    FROM {{ ref('products_checked') }} AS checked
    WHERE rejected_because IS NULL
),

ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY product_id, valid_from
            ORDER BY
                product_updated_date NULLS LAST,
                product_created_date DESC,
                product_price DESC,
                product_category DESC NULLS LAST,
                product_name DESC NULLS LAST,
                product_size_label DESC NULLS LAST,
                product_width_cm DESC NULLS LAST,
                product_length_cm DESC NULLS LAST,
                product_height_cm DESC NULLS LAST
        ) AS rn
    FROM received
)

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
    valid_from
FROM ranked
WHERE rn = 1
