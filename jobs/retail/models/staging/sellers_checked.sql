-- Grain: one row per seller row received. Keys: none.
-- States why a row is rejected (null = valid), so that staging and quarantine split the same rows.
{{ config(materialized='ephemeral') }}

SELECT
    seller_id,
    seller_address,
    seller_zip_code,
    seller_state,
    seller_created_date,
    seller_updated_date,
    COALESCE(seller_updated_date, seller_created_date) AS valid_from,
    CASE
        WHEN COALESCE(seller_id, '') = '' THEN 'missing_id'
        WHEN seller_created_date IS NULL THEN 'missing_created_date'
        WHEN seller_updated_date < seller_created_date THEN 'updated_before_created'
        ELSE NULL
    END AS rejected_because
FROM {{ source('raw', 'sellers') }}
