-- Grain: one month with orders. Keys: sales_month.
-- Revenue of each month against the month before; growth is null for the first month, and where nothing was sold.
WITH months AS (
    SELECT
        days.month_start_date AS sales_month,
        COUNT(*) AS orders,
        SUM(orders.total_order_value) AS revenue
    FROM {{ ref('fact_order_summary') }} AS orders
    INNER JOIN {{ ref('dim_date') }} AS days ON orders.order_date_key = days.date_key
    WHERE days.date_key > 0
    GROUP BY days.month_start_date
),

compared AS (
    SELECT
        *,
        LAG(revenue) OVER (ORDER BY sales_month) AS previous_revenue
    FROM months
)

SELECT
    sales_month,
    orders,
    CAST(revenue AS DECIMAL(18, 2)) AS revenue,
    CAST(previous_revenue AS DECIMAL(18, 2)) AS previous_revenue,
    -- A ratio, not money.
    ROUND(100.0 * CAST(revenue - previous_revenue AS DOUBLE) / CAST(NULLIF(previous_revenue, 0) AS DOUBLE), 2)
        AS growth_percent
FROM compared
ORDER BY sales_month
