-- Grain: one row per customer row received. Keys: none.
-- States why a row is rejected (null = valid), so that staging and quarantine split the same rows.
{{ config(materialized='ephemeral') }}

SELECT
    customer_id,
    customer_address,
    customer_zip_code,
    customer_state,
    customer_created_date,
    customer_updated_date,
    COALESCE(customer_updated_date, customer_created_date) AS valid_from,
    CASE
        WHEN COALESCE(customer_id, '') = '' THEN 'missing_id'
        WHEN customer_created_date IS NULL THEN 'missing_created_date'
        WHEN customer_updated_date < customer_created_date THEN 'updated_before_created'
        ELSE NULL
    END AS rejected_because
FROM {{ source('raw', 'customers') }}
