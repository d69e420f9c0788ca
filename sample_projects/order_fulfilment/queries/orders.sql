-- Where every order stands, the newest first: order_fulfilment keeps `state` and `why` in attributes of the run.
SELECT attributes['order'] AS "order", attributes['customer'] AS customer, attributes['state'] AS state,
       attributes['why'] AS why, CAST(CAST(attributes['cents'] AS INTEGER) / 100 AS DECIMAL(12, 2)) AS total, created_at
FROM runs WHERE workflow = 'orders:fulfil' ORDER BY created_at DESC
