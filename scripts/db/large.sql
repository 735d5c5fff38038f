-- A large cloud for bench_db.py: MariaDB's sequences fill nova's tables. 20 networks of a /16's size hold 50,000 fixed
-- IPs each; of 200,000 instances the first 100,000 live, each with a NIC, an address and a cache; 100,000 floating IPs
-- hang on the first 60,000, and the others are free. About one row in a thousand is inconsistent.
SET foreign_key_checks = 0;
INSERT INTO networks (id, label, cidr, netmask, broadcast, bridge, vlan, multi_host, project_id, host, deleted)
 SELECT seq, CONCAT('net', seq), CONCAT('10.', seq, '.0.0/16'), '255.255.0.0', CONCAT('10.', seq, '.255.255'),
  CONCAT('br', 100 + seq), 100 + seq, 1, NULL, NULL, 0 FROM seq_1_to_20;
INSERT INTO services (id, host, `binary`, topic, report_count, deleted)
 SELECT seq, CONCAT('compute', seq), 'nova-network', 'network', 1, 0 FROM seq_1_to_200;
INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, task_state, deleted)
 SELECT seq, CONCAT('00000000-0000-4000-8000-', LPAD(seq, 12, '0')), CONCAT('vm', seq),
  CONCAT('compute', 1 + seq % 200), CONCAT('p', seq % 500), IF(seq > 100000, 'deleted', 'active'), NULL,
  IF(seq > 100000, seq, 0) FROM seq_1_to_200000;
INSERT INTO virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted)
 SELECT seq, CONCAT('fa:16:3e:', LPAD(HEX(seq DIV 65536), 2, '0'), ':', LPAD(HEX(seq DIV 256 % 256), 2, '0'), ':',
  LPAD(HEX(seq % 256), 2, '0')), 1 + (seq - 1) DIV 50000, CONCAT('10000000-0000-4000-8000-', LPAD(seq, 12, '0')),
  CONCAT('00000000-0000-4000-8000-', LPAD(seq, 12, '0')), IF(seq > 100000 AND seq % 1000, seq, 0)
  FROM seq_1_to_200000;
-- The first two networks are full but for what the last rows free; one given row in a thousand leaked.
INSERT INTO fixed_ips (id, updated_at, address, network_id, allocated, leased, reserved, virtual_interface_id, host,
  instance_uuid, deleted)
 SELECT seq, '2026-11-01 00:00:00',
  CONCAT('10.', 1 + (seq - 1) DIV 50000, '.', (seq - 1) % 50000 DIV 256, '.', (seq - 1) % 50000 % 256),
  1 + (seq - 1) DIV 50000, seq <= 100000 OR seq BETWEEN 150001 AND 150100,
  seq <= 100000 OR seq BETWEEN 200001 AND 200100, seq > 100000 AND seq % 50000 = 1, IF(seq <= 100000, seq, NULL), NULL,
  CASE WHEN seq <= 100000 THEN CONCAT('00000000-0000-4000-8000-', LPAD(seq, 12, '0'))
       WHEN seq BETWEEN 150001 AND 150100 OR seq BETWEEN 250001 AND 250100
        THEN CONCAT('00000000-0000-4000-8000-', LPAD(seq - 40000, 12, '0')) END, 0
  FROM seq_1_to_1000000;
-- A row in a thousand of its own sort each.
UPDATE fixed_ips SET reserved = 1 WHERE id BETWEEN 90001 AND 90050;
UPDATE fixed_ips SET host = 'compute7' WHERE id BETWEEN 90051 AND 90100;
UPDATE fixed_ips SET host = 'gone1' WHERE id BETWEEN 300001 AND 300050;
UPDATE fixed_ips SET address = CONCAT('192.168.', id % 200, '.', id DIV 200 % 200) WHERE id BETWEEN 400001 AND 400050;
UPDATE fixed_ips SET virtual_interface_id = NULL WHERE id BETWEEN 90101 AND 90150;
UPDATE fixed_ips SET virtual_interface_id = id + 50 WHERE id BETWEEN 90151 AND 90200;
INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, pool, deleted)
 SELECT seq, CONCAT('172.', 16 + seq DIV 65536, '.', seq DIV 256 % 256, '.', seq % 256),
  CASE WHEN seq <= 60000 THEN seq WHEN seq <= 60100 THEN 150000 + seq - 60000 WHEN seq <= 60150 THEN 5000000 + seq
       WHEN seq <= 60200 THEN seq - 60000 END,
  IF(seq <= 70000 AND seq % 2000, CONCAT('p', seq % 500), NULL),
  CASE WHEN seq <= 60200 THEN CONCAT('compute', IF(seq % 1500, 1 + seq % 200, 1 + (seq + 1) % 200))
       WHEN seq <= 60250 THEN 'compute3' END, 0, 'nova', 0 FROM seq_1_to_100000;
ANALYZE TABLE instances, virtual_interfaces, fixed_ips, floating_ips;
INSERT INTO instance_info_caches (id, network_info, instance_uuid, deleted)
 SELECT i.id, CONCAT('[{"id": "', v.uuid, '", "address": "', v.address, '", "type": "bridge", "network": {"id": "n", ',
  '"bridge": "br100", "label": "net", "meta": {"multi_host": true}, "subnets": [{"cidr": "10.0.0.0/16", "version": 4, ',
  '"gateway": {"address": "10.0.0.1", "type": "gateway", "version": 4, "meta": {}}, "dns": [{"address": "8.8.4.4", ',
  '"type": "dns", "version": 4, "meta": {}}], "routes": [], "ips": [{"address": "', IF(i.id % 997, f.address, '10.9.9.9'),
  '", "type": "fixed", "version": 4, "meta": {}, "floating_ips": [',
  IFNULL(CONCAT('{"address": "', a.address, '", "type": "floating", "version": 4, "meta": {}}'), ''),
  IFNULL(CONCAT(', {"address": "', b.address, '", "type": "floating", "version": 4, "meta": {}}'), ''),
  ']}], "meta": {"dhcp_server": "10.0.0.1"}}]}, "meta": {}}]'), i.uuid, 0
 FROM instances i JOIN fixed_ips f ON f.id = i.id JOIN virtual_interfaces v ON v.id = i.id
  LEFT JOIN floating_ips a ON a.id = i.id AND a.fixed_ip_id = f.id
  LEFT JOIN floating_ips b ON b.id = i.id + 60000 AND b.fixed_ip_id = f.id WHERE i.id <= 100000;
INSERT INTO security_groups (id, name, project_id, deleted)
 SELECT seq, 'default', CONCAT('p', seq), IF(seq % 100, 0, seq) FROM seq_1_to_500;
INSERT INTO security_group_rules (id, parent_group_id, protocol, from_port, to_port, group_id, deleted)
 SELECT seq, 1 + seq % 500, 'tcp', 1 + seq, 1 + seq, IF(seq % 3, NULL, 1 + (seq * 7) % 500), 0 FROM seq_1_to_20000;
INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted)
 SELECT seq, 1 + seq % 500, CONCAT('00000000-0000-4000-8000-', LPAD(seq, 12, '0')), IF(seq > 100000, seq, 0)
  FROM seq_1_to_200000;
SET foreign_key_checks = 1;
ANALYZE TABLE networks, instances, virtual_interfaces, fixed_ips, floating_ips, instance_info_caches;
