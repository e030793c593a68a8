-- Grain: one row per order. Keys: order_id.
-- Of all rows received of an order the one furthest along wins: the latest delivery to the customer, then to the
-- carrier, then approval (a missing date is the least), then the latest purchase date. The keys after it settle
-- what is left, so that the same row wins in every run.
WITH received AS (
    SELECT
        order_id,
        customer_id,
        order_status,
        CASE order_status WHEN 'DELIVERED' THEN 4 WHEN 'SHIPPED' THEN 3 WHEN 'APPROVED' THEN 2 ELSE 1 END AS status_rank,
        order_purchase_date,
        order_approved_at,
        order_delivered_carrier_date,
        order_delivered_customer_date,
        order_estimated_delivery_date
    FROM {{ ref('orders_checked') }} AS checked
    WHERE rejected_because IS NULL
),

ranked AS (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY order_id
            ORDER BY
                order_delivered_customer_date DESC NULLS LAST,
                order_delivered_carrier_date DESC NULLS LAST,
                order_approved_at DESC NULLS LAST,
                order_purchase_date DESC,
                status_rank DESC,
                order_estimated_delivery_date DESC NULLS LAST,
                customer_id
        ) AS rn
    FROM received
)

SELECT
    order_id,
    customer_id,
    order_status,
    order_purchase_date AS order_date,
    order_approved_at AS order_approved_date,
    order_delivered_carrier_date AS delivered_to_carrier_date,
    order_delivered_customer_date AS delivered_to_customer_date,
    order_estimated_delivery_date AS estimated_delivery_date
FROM ranked
WHERE rn = 1
