-- Grain: one version of a product, and the unknown row. Keys: product_sk; product_id, valid_from.
-- Versions of one product: [valid_from, valid_to), without gap from the created date on, the last one open.
-- A version is a change of price or category_name. Name, size label and measures are not tracked: every version
-- shows the latest ones known.
WITH received AS (
    SELECT
        product_id,
        product_category AS category_name,
        product_price AS price,
        product_created_date AS created_date,
        valid_from
    FROM {{ ref('stg_products') }}
),

latest_ranked AS (
    SELECT
        product_id,
        product_name,
        product_size_label AS size_label,
        product_width_cm AS width_cm,
        product_length_cm AS length_cm,
        product_height_cm AS height_cm,
        ROW_NUMBER() OVER (PARTITION BY product_id ORDER BY valid_from DESC) AS rn
    FROM {{ ref('stg_products') }}
),

latest AS (
    SELECT product_id, product_name, size_label, width_cm, length_cm, height_cm
    FROM latest_ranked
    WHERE rn = 1
),

compared AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY product_id ORDER BY valid_from) AS version_number,
        LAG(price) OVER (PARTITION BY product_id ORDER BY valid_from) AS previous_price,
        LAG(category_name) OVER (PARTITION BY product_id ORDER BY valid_from) AS previous_category_name,
        MIN(created_date) OVER (PARTITION BY product_id) AS first_created_date
    FROM received
),

-- The first version known opens at the created date, even when only later versions were ever delivered.
changes AS (
    SELECT
        product_id,
        category_name,
        price,
        first_created_date AS created_date,
        CASE WHEN version_number = 1 THEN first_created_date ELSE valid_from END AS valid_from
    FROM compared
    WHERE version_number = 1
        OR (price IS DISTINCT FROM previous_price)
        OR (category_name IS DISTINCT FROM previous_category_name)
),

versions AS (
    SELECT
        *,
        LEAD(valid_from) OVER (PARTITION BY product_id ORDER BY valid_from) AS valid_to
    FROM changes
)

SELECT
    {{ version_key('versions.product_id', 'versions.valid_from') }} AS product_sk,
    versions.product_id,
    versions.category_name,
    versions.price,
    latest.product_name,
    latest.size_label,
    latest.width_cm,
    latest.length_cm,
    latest.height_cm,
    versions.created_date,
    versions.valid_from,
    versions.valid_to,
    versions.valid_to IS NULL AS is_current
FROM versions
INNER JOIN latest ON versions.product_id = latest.product_id
UNION ALL
SELECT {{ unknown_key() }}, 'unknown', 'unknown', NULL, 'unknown', 'unknown', NULL, NULL, NULL, NULL, NULL, NULL, TRUE
