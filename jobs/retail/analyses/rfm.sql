-- Grain: one customer with orders. Keys: customer_id.
-- Recency, frequency and monetary value in quartiles, 4 = best on each axis: ordered most lately, most often, for
-- most money. Ties are split by customer_id, so that the same customers fall in the same quartile in every run.
WITH customer_orders AS (
    SELECT
        customers.customer_id,
        MAX(orders.order_date) AS last_order_date,
        COUNT(*) AS frequency,
        SUM(orders.total_order_value) AS monetary
    FROM {{ ref('fact_order_summary') }} AS orders
    INNER JOIN {{ ref('dim_customer') }} AS customers ON orders.customer_sk = customers.customer_sk
    WHERE orders.customer_sk <> {{ unknown_key() }}
    GROUP BY customers.customer_id
),

scored AS (
    SELECT
        *,
        CAST(NTILE(4) OVER (ORDER BY last_order_date, customer_id) AS INTEGER) AS recency_score,
        CAST(NTILE(4) OVER (ORDER BY frequency, customer_id) AS INTEGER) AS frequency_score,
        CAST(NTILE(4) OVER (ORDER BY monetary, customer_id) AS INTEGER) AS monetary_score
    FROM customer_orders
)

SELECT
    customer_id,
    CAST(last_order_date AS DATE) AS last_order_date,
    frequency,
    CAST(monetary AS DECIMAL(18, 2)) AS monetary,
    recency_score,
    frequency_score,
    monetary_score,
    recency_score * 100 + frequency_score * 10 + monetary_score AS rfm_score
FROM scored
ORDER BY rfm_score DESC, customer_id
