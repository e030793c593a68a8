-- Grain: one row per version received of a customer. Keys: customer_id, valid_from.
-- Where two rows share the key but differ, the one with an updated date wins, then the greatest text: an
-- arbitrary choice that is the same in every run, whatever arrived first.
WITH received AS (
    SELECT *
    FROM {{ ref('customers_checked') }} AS checked
    WHERE rejected_because IS NULL
),

ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY customer_id, valid_from
            ORDER BY
                customer_updated_date NULLS LAST,
                customer_created_date DESC,
                customer_address DESC NULLS LAST,
                customer_zip_code DESC NULLS LAST,
                customer_state DESC NULLS LAST
        ) AS rn
    FROM received
)

SELECT
    customer_id,
    customer_address,
    customer_zip_code,
    customer_state,
    customer_created_date,
    customer_updated_date,
    valid_from
FROM ranked
WHERE rn = 1
