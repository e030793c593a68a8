-- Grain: one rejected row as received. Keys: none.
-- An item whose order is not in staging (never delivered, or rejected) is unknown_order: it leaves quarantine in
-- the run that reads its order.
SELECT
    items.order_id,
    items.order_item_id,
    items.product_id,
    items.seller_id,
    items.shipping_limit_date,
    items.price,
    items.freight_value,
    COALESCE(items.rejected_because, 'unknown_order') AS rejected_because
FROM {{ ref('order_items_checked') }} AS items
LEFT JOIN {{ ref('stg_orders') }} AS orders ON items.order_id = orders.order_id
WHERE items.rejected_because IS NOT NULL OR orders.order_id IS NULL
