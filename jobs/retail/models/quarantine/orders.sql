-- Grain: one rejected row as received. Keys: none.
SELECT
    order_id,
    customer_id,
    received_status AS order_status,
    order_purchase_date,
    order_approved_at,
    order_delivered_carrier_date,
    order_delivered_customer_date,
    order_estimated_delivery_date,
    rejected_because
FROM {{ ref('orders_checked') }} AS checked
WHERE rejected_because IS NOT NULL
