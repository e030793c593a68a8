-- Grain: one customer state. Keys: customer_state.
-- Average value of an order by the state its customer lived in when ordering; orders without items count as 0.
WITH states AS (
    SELECT
        customers.state AS customer_state,
        COUNT(*) AS orders,
        SUM(orders.total_order_value) AS revenue
    FROM {{ ref('fact_order_summary') }} AS orders
    INNER JOIN {{ ref('dim_customer') }} AS customers ON orders.customer_sk = customers.customer_sk
    GROUP BY customers.state
)

SELECT
    customer_state,
    orders,
    CAST(revenue AS DECIMAL(18, 2)) AS revenue,
    {{ average_money('revenue', 'orders') }} AS average_order_value
FROM states
ORDER BY average_order_value DESC, customer_state
