-- Grain: one version of a customer, and the unknown row. Keys: customer_sk; customer_id, valid_from.
-- Versions of one customer: [valid_from, valid_to), without gap from the created date on, the last one open.
-- A version is a change of address, state or zip_code_prefix: rows that change none of them open no version.
WITH received AS (
    SELECT
        customer_id,
        customer_address AS address,
        customer_state AS state,
        SUBSTR(TRIM(customer_zip_code), 1, 5) AS zip_code_prefix,
        customer_created_date AS created_date,
        valid_from
    FROM {{ ref('stg_customers') }}
),

compared AS (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY valid_from) AS version_number,
        LAG(address) OVER (PARTITION BY customer_id ORDER BY valid_from) AS previous_address,
        LAG(state) OVER (PARTITION BY customer_id ORDER BY valid_from) AS previous_state,
        LAG(zip_code_prefix) OVER (PARTITION BY customer_id ORDER BY valid_from) AS previous_zip_code_prefix,
        MIN(created_date) OVER (PARTITION BY customer_id) AS first_created_date
    FROM received
),

-- The first version known opens at the created date, even when only later versions were ever delivered.
changes AS (
    SELECT
        customer_id,
        address,
        state,
        zip_code_prefix,
        first_created_date AS created_date,
        CASE WHEN version_number = 1 THEN first_created_date ELSE valid_from END AS valid_from
    FROM compared
    WHERE version_number = 1
        OR (address IS DISTINCT FROM previous_address)
        OR (state IS DISTINCT FROM previous_state)
        OR (zip_code_prefix IS DISTINCT FROM previous_zip_code_prefix)
),

versions AS (
    SELECT
        *,
        LEAD(valid_from) OVER (PARTITION BY customer_id ORDER BY valid_from) AS valid_to
    FROM changes
)

SELECT
    {{ version_key('customer_id', 'valid_from') }} AS customer_sk,
    customer_id,
    address,
    state,
    zip_code_prefix,
    created_date,
    valid_from,
    valid_to,
    valid_to IS NULL AS is_current
FROM versions
UNION ALL
SELECT {{ unknown_key() }}, 'unknown', 'unknown', 'unknown', 'unknown', NULL, NULL, NULL, TRUE
