-- Grain: one rejected row as received. Keys: none.
SELECT
    seller_id,
    seller_address,
    seller_zip_code,
    seller_state,
    seller_created_date,
    seller_updated_date,
    rejected_because
FROM {{ ref('sellers_checked') }} AS checked
WHERE rejected_because IS NOT NULL
