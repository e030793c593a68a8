-- Grain: one row per version received of a seller. Keys: seller_id, valid_from.
-- Where two rows share the key but differ, the one with an updated date wins, then the greatest text: an
-- arbitrary choice that is the same in every run, whatever arrived first.
WITH received AS (
    SELECT *
    FROM {{ ref('sellers_checked') }} AS checked
    WHERE rejected_because IS NULL
),

ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY seller_id, valid_from
            ORDER BY
                seller_updated_date NULLS LAST,
                seller_created_date DESC,
                seller_address DESC NULLS LAST,
                seller_zip_code DESC NULLS LAST,
                seller_state DESC NULLS LAST
        ) AS rn
    FROM received
)

SELECT
    seller_id,
    seller_address,
    seller_zip_code,
    seller_state,
    seller_created_date,
    seller_updated_date,
    valid_from
FROM ranked
WHERE rn = 1
