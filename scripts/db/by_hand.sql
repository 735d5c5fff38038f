-- The same findings as one statement each, as somebody would type them who knows MariaDB: where it would go by an index
-- on `deleted`, which finds every row, the column is hidden from it.
-- float-tied-to-deleted-instance
SELECT fl.id, fl.address, fl.host, f.id, f.address, f.instance_uuid, i.hostname FROM floating_ips fl JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND f.deleted = 0 LEFT JOIN instances i ON i.uuid = f.instance_uuid WHERE fl.deleted = 0 AND (i.id IS NULL OR i.deleted <> 0);
-- float-fixed-ip-gone
SELECT fl.id, fl.address, fl.host, fl.fixed_ip_id FROM floating_ips fl LEFT JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND f.deleted = 0 WHERE fl.deleted = 0 AND fl.fixed_ip_id IS NOT NULL AND f.id IS NULL;
-- float-host-without-fixed-ip
SELECT id, address, host FROM floating_ips WHERE deleted = 0 AND fixed_ip_id IS NULL AND host <> '';
-- float-without-project
SELECT fl.id, fl.address, fl.fixed_ip_id, i.project_id, i.hostname FROM floating_ips fl JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND f.deleted = 0 JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 WHERE fl.deleted = 0 AND fl.project_id IS NULL;
-- float-host-mismatch
SELECT fl.id, fl.address, fl.host, i.host, i.hostname FROM floating_ips fl JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND f.deleted = 0 JOIN networks n ON n.id = f.network_id AND n.deleted = 0 JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 WHERE fl.deleted = 0 AND i.task_state IS NULL AND IF(n.multi_host, i.host, n.host) <> IFNULL(fl.host, '');
-- float-twice-to-one
SELECT fl.id, fl.address, fl.fixed_ip_id FROM floating_ips fl JOIN (SELECT fixed_ip_id FROM floating_ips WHERE deleted = 0 AND fixed_ip_id IS NOT NULL GROUP BY fixed_ip_id HAVING COUNT(*) > 1) t ON t.fixed_ip_id = fl.fixed_ip_id JOIN fixed_ips f ON f.id = fl.fixed_ip_id AND f.deleted = 0 WHERE fl.deleted = 0;
-- floating-ip-twice
SELECT address, COUNT(*) FROM floating_ips WHERE deleted = 0 GROUP BY address HAVING COUNT(*) > 1;
-- fixed-ip-leaked
SELECT f.id, f.address, f.network_id, f.allocated, f.leased, f.reserved, f.host, f.instance_uuid, i.hostname FROM fixed_ips f LEFT JOIN instances i ON i.uuid = f.instance_uuid WHERE f.deleted = 0 AND ((f.instance_uuid IS NOT NULL AND IFNULL(f.allocated, 1) = 1 AND (i.id IS NULL OR i.deleted <> 0)) OR (f.instance_uuid IS NULL AND (f.allocated = 1 OR f.leased = 1) AND f.reserved = 0 AND IFNULL(f.host, '') = ''));
-- fixed-ip-not-released
SELECT f.id, f.address, f.leased, f.updated_at, f.instance_uuid, i.hostname FROM fixed_ips f LEFT JOIN instances i ON i.uuid = f.instance_uuid WHERE f.deleted + 0 = 0 AND f.allocated = 0 AND f.instance_uuid IS NOT NULL AND (f.updated_at < '2026-11-26 11:49:00' OR f.updated_at IS NULL);
-- fixed-ip-without-vif
SELECT f.id, f.address, f.virtual_interface_id, i.hostname FROM fixed_ips f JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 LEFT JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND v.deleted = 0 WHERE f.deleted = 0 AND f.allocated = 1 AND i.task_state IS NULL AND v.id IS NULL;
-- fixed-ip-vif-mismatch
SELECT f.id, f.address, f.network_id, v.network_id, f.instance_uuid, v.instance_uuid FROM fixed_ips f JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND v.deleted = 0 WHERE f.deleted = 0 AND f.instance_uuid IS NOT NULL AND (v.instance_uuid <> f.instance_uuid OR v.network_id <> f.network_id);
-- fixed-ip-reserved-in-use
SELECT f.id, f.address, f.instance_uuid FROM fixed_ips f JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 LEFT JOIN networks n ON n.id = f.network_id AND n.deleted = 0 WHERE f.deleted = 0 AND f.reserved = 1 AND f.address <> IFNULL(n.vpn_private_address, '');
-- host-address-in-use
SELECT f.id, f.address, f.host, i.host FROM fixed_ips f JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 WHERE f.deleted = 0 AND f.host <> '';
-- host-address-without-service
SELECT f.id, f.address, f.host FROM fixed_ips f LEFT JOIN services s ON s.host = f.host AND s.`binary` = 'nova-network' AND s.deleted = 0 WHERE f.deleted = 0 AND f.instance_uuid IS NULL AND f.host <> '' AND s.id IS NULL;
-- fixed-ip-outside-network
SELECT f.id, f.address, n.cidr FROM fixed_ips f JOIN networks n ON n.id = f.network_id AND n.deleted = 0 WHERE f.deleted = 0 AND (INET_ATON(f.address) >> (32 - SUBSTRING_INDEX(n.cidr, '/', -1))) <> (INET_ATON(SUBSTRING_INDEX(n.cidr, '/', 1)) >> (32 - SUBSTRING_INDEX(n.cidr, '/', -1)));
-- fixed-ip-of-other-project
SELECT f.id, f.address, n.project_id, i.project_id FROM networks n JOIN fixed_ips f ON f.network_id = n.id AND f.deleted = 0 JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 WHERE n.deleted = 0 AND n.project_id IS NOT NULL AND f.allocated = 1 AND n.project_id <> i.project_id;
-- fixed-ip-twice
SELECT address, COUNT(*) FROM fixed_ips WHERE deleted + 0 = 0 GROUP BY address HAVING COUNT(*) > 1;
-- fixed-ip-without-network
SELECT f.id, f.address, f.network_id FROM fixed_ips f LEFT JOIN networks n ON n.id = f.network_id AND n.deleted = 0 WHERE f.deleted + 0 = 0 AND f.network_id IS NOT NULL AND n.id IS NULL;
-- fixed-ip-flag-missing
SELECT f.id, f.address, f.allocated, f.leased, f.reserved FROM fixed_ips f LEFT JOIN instances i ON i.uuid = f.instance_uuid AND i.deleted = 0 WHERE f.deleted + 0 = 0 AND (f.reserved IS NULL OR (f.leased IS NULL AND (f.instance_uuid IS NULL OR i.id IS NOT NULL)) OR (f.allocated IS NULL AND i.id IS NOT NULL));
-- mac-twice
SELECT LOWER(address), COUNT(*) FROM virtual_interfaces WHERE deleted = 0 GROUP BY LOWER(address) HAVING COUNT(*) > 1;
-- vif-orphan
SELECT v.id, v.address, v.instance_uuid FROM virtual_interfaces v LEFT JOIN instances i ON i.uuid = v.instance_uuid WHERE v.deleted = 0 AND (i.id IS NULL OR i.deleted <> 0);
-- instance-without-address
SELECT v.id, v.address, i.hostname FROM virtual_interfaces v JOIN instances i ON i.uuid = v.instance_uuid AND i.deleted = 0 LEFT JOIN fixed_ips f ON f.instance_uuid = i.uuid AND f.deleted = 0 AND f.allocated = 1 AND f.virtual_interface_id = v.id WHERE v.deleted = 0 AND i.vm_state = 'active' AND i.task_state IS NULL AND f.id IS NULL;
-- instance-without-nic
SELECT i.id, i.hostname FROM instances i JOIN instance_info_caches c ON c.instance_uuid = i.uuid AND c.deleted = 0 LEFT JOIN virtual_interfaces v ON v.instance_uuid = i.uuid AND v.deleted = 0 LEFT JOIN fixed_ips f ON f.instance_uuid = i.uuid AND f.deleted = 0 AND f.allocated = 1 WHERE i.deleted = 0 AND i.vm_state = 'active' AND i.task_state IS NULL AND v.id IS NULL AND f.id IS NULL AND JSON_LENGTH(c.network_info) > 0;
-- info-cache-differs
SELECT c.id, i.hostname FROM instance_info_caches c JOIN instances i ON i.uuid = c.instance_uuid AND i.deleted = 0 LEFT JOIN (SELECT f.instance_uuid, GROUP_CONCAT(CONCAT_WS(' ', f.address, v.address, v.uuid, n.uuid, fl.address) ORDER BY f.address, fl.address) AS said, SUM(v.id IS NULL OR n.id IS NULL) AS bare FROM fixed_ips f LEFT JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND v.deleted = 0 AND v.instance_uuid = f.instance_uuid LEFT JOIN networks n ON n.id = f.network_id AND n.deleted = 0 LEFT JOIN floating_ips fl ON fl.fixed_ip_id = f.id AND fl.deleted = 0 WHERE f.deleted = 0 AND f.allocated = 1 GROUP BY f.instance_uuid) t ON t.instance_uuid = i.uuid WHERE c.deleted = 0 AND i.task_state IS NULL AND IFNULL(t.bare, 0) = 0 AND IFNULL((SELECT GROUP_CONCAT(CONCAT_WS(' ', j.fixed, j.mac, j.vif, j.network, j.floating) ORDER BY j.fixed, j.floating) FROM JSON_TABLE(c.network_info, '$[*]' COLUMNS (mac VARCHAR(17) PATH '$.address', vif VARCHAR(36) PATH '$.id', network VARCHAR(36) PATH '$.network.id', NESTED PATH '$.network.subnets[*].ips[*]' COLUMNS (fixed VARCHAR(39) PATH '$.address', NESTED PATH '$.floating_ips[*]' COLUMNS (floating VARCHAR(39) PATH '$.address')))) j), '') <> IFNULL(t.said, '');
-- info-cache-deleted
SELECT c.id, i.hostname FROM instances i JOIN instance_info_caches c ON c.instance_uuid = i.uuid AND c.deleted <> 0 LEFT JOIN instance_info_caches d ON d.instance_uuid = i.uuid AND d.deleted = 0 WHERE i.deleted = 0 AND i.task_state IS NULL AND d.id IS NULL;
-- network-full
SELECT n.id, n.label, SUM(f.reserved = 0 AND f.leased = 0 AND f.instance_uuid IS NULL AND f.host IS NULL) AS free, SUM(f.reserved = 0) AS every_one, SUM(f.reserved = 0 AND IFNULL(f.host, '') = '' AND ((f.instance_uuid IS NOT NULL AND IFNULL(f.allocated, 1) = 1 AND (i.id IS NULL OR i.deleted <> 0)) OR (f.leased = 1 AND f.instance_uuid IS NULL) OR (f.instance_uuid IS NOT NULL AND f.allocated = 0 AND (f.updated_at < '2026-11-26 11:49:00' OR f.updated_at IS NULL)))) AS would_come_free FROM networks n JOIN fixed_ips f ON f.network_id = n.id AND f.deleted = 0 LEFT JOIN instances i ON i.uuid = f.instance_uuid WHERE n.deleted = 0 GROUP BY n.id, n.label HAVING free < CEIL(every_one / 50);
-- network-overlap
SELECT a.id, b.id FROM networks a JOIN networks b ON b.id > a.id AND b.deleted = 0 AND INET_ATON(SUBSTRING_INDEX(a.cidr, '/', 1)) <= INET_ATON(SUBSTRING_INDEX(b.cidr, '/', 1)) + POW(2, 32 - SUBSTRING_INDEX(b.cidr, '/', -1)) - 1 AND INET_ATON(SUBSTRING_INDEX(b.cidr, '/', 1)) <= INET_ATON(SUBSTRING_INDEX(a.cidr, '/', 1)) + POW(2, 32 - SUBSTRING_INDEX(a.cidr, '/', -1)) - 1 WHERE a.deleted = 0;
-- network-vlan-twice
SELECT vlan, COUNT(*) FROM networks WHERE deleted = 0 AND vlan IS NOT NULL GROUP BY vlan HAVING COUNT(*) > 1;
-- network-bridge-twice
SELECT bridge, COUNT(*) FROM networks WHERE deleted = 0 AND bridge IS NOT NULL GROUP BY bridge HAVING COUNT(*) > 1;
-- network-mask-wrong
SELECT id, cidr, netmask, broadcast FROM networks WHERE deleted = 0 AND INET_ATON(netmask) <> 4294967296 - POW(2, 32 - SUBSTRING_INDEX(cidr, '/', -1));
-- group-rule-of-deleted-group
SELECT r.id, r.group_id, g.name FROM security_group_rules r JOIN security_groups p ON p.id = r.parent_group_id AND p.deleted = 0 LEFT JOIN security_groups g ON g.id = r.group_id WHERE r.deleted = 0 AND r.group_id IS NOT NULL AND (g.id IS NULL OR g.deleted <> 0);
-- group-membership-of-deleted-group
SELECT m.id, m.security_group_id, i.hostname FROM security_group_instance_association m JOIN instances i ON i.uuid = m.instance_uuid AND i.deleted = 0 LEFT JOIN security_groups g ON g.id = m.security_group_id WHERE m.deleted = 0 AND (g.id IS NULL OR g.deleted <> 0);
