-- Grain: one rejected row as received. Keys: none.
SELECT
    customer_id,
    customer_address,
    customer_zip_code,
    customer_state,
    customer_created_date,
    customer_updated_date,
    rejected_because
FROM {{ ref('customers_checked') }} AS checked
WHERE rejected_because IS NOT NULL
