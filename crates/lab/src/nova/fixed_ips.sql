-- One row for each of ?2 addresses from ?1 (a number) on, as nova makes them: the network's address,
-- the gateway and the broadcast address are reserved.
WITH RECURSIVE pool (offset, ip) AS (
    SELECT 0, ?1
    UNION ALL
    SELECT offset + 1, ip + 1 FROM pool WHERE offset + 1 < ?2
)
INSERT INTO fixed_ips (created_at, id, address, network_id, allocated, leased, reserved, deleted)
SELECT datetime('now'), offset + 1,
       (ip >> 24) || '.' || ((ip >> 16) & 255) || '.' || ((ip >> 8) & 255) || '.' || (ip & 255),
       1, 0, 0, offset IN (0, 1, ?2 - 1), 0
FROM pool
