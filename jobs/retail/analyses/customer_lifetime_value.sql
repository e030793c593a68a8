-- Grain: one customer with orders. Keys: customer_id.
-- What a customer has brought so far; customers that no delivery knows are left out.
WITH customer_orders AS (
    SELECT
        customers.customer_id,
        COUNT(*) AS orders,
        SUM(orders.total_order_value) AS lifetime_value,
        MIN(CAST(orders.order_date AS DATE)) AS first_order_date,
        MAX(CAST(orders.order_date AS DATE)) AS last_order_date
    FROM {{ ref('fact_order_summary') }} AS orders
    INNER JOIN {{ ref('dim_customer') }} AS customers ON orders.customer_sk = customers.customer_sk
    WHERE orders.customer_sk <> {{ unknown_key() }}
    GROUP BY customers.customer_id
)

SELECT
    customer_orders.customer_id,
    customers.state AS customer_state,
    customer_orders.orders,
    CAST(customer_orders.lifetime_value AS DECIMAL(18, 2)) AS lifetime_value,
    {{ average_money('customer_orders.lifetime_value', 'customer_orders.orders') }} AS average_order_value,
    customer_orders.first_order_date,
    customer_orders.last_order_date
FROM customer_orders
INNER JOIN {{ ref('dim_customer') }} AS customers
    ON customer_orders.customer_id = customers.customer_id AND customers.is_current
ORDER BY lifetime_value DESC, customer_orders.customer_id
