-- A cloud in order with everything that looks odd and is not, and what is planted in it.
-- `I`, `V`, `F`, `L`, `C`, `N` stand for INSERTs; `-- plant` begins what stands alone or with all others, each
-- `-- finds` a row that is then found; `-- near` what finds nothing. The time is 2026-11-26 12:00:00.
N (1, 'flat', '10.0.0.0/23', '255.255.254.0', '10.0.1.255', 'br100', NULL, TRUE, NULL, NULL, NULL, 0);
N (2, 'red', '10.1.0.0/24', '255.255.255.0', '10.1.0.255', 'br101', 101, FALSE, 'p1', 'netnode', '10.1.0.2', 0);
-- A network that is gone, with the same VLAN, bridge and range.
N (3, 'old', '10.1.0.0/24', '255.255.255.0', '10.1.0.255', 'br101', 101, FALSE, 'p1', 'netnode', NULL, 3);
UPDATE networks SET uuid = 'net-1', cidr_v6 = 'fd00:1::/64' WHERE id = 1;
UPDATE networks SET cidr_v6 = 'fd00:2::/64' WHERE id IN (2, 3);
INSERT INTO services (id, host, "binary", topic, report_count, deleted) VALUES
 (1, 'compute1', 'nova-network', 'network', 1, 0), (2, 'compute2', 'nova-network', 'network', 1, 0),
 (3, 'netnode', 'nova-network', 'network', 1, 0), (4, 'compute9', 'nova-network', 'network', 1, 4);
I (1, 'u1', 'web1', 'compute1', 'p1', 'active', NULL, 0);
I (2, 'u2', 'db1', 'compute2', 'p1', 'active', NULL, 0);
-- Resized, shelved, failed, being built, given back within the grace time, and a VPN instance on its reserved address.
I (3, 'u3', 'moving', 'compute2', 'p1', 'active', 'resize_migrating', 0);
I (4, 'u4', 'shelved', NULL, 'p1', 'shelved_offloaded', NULL, 0);
I (5, 'u5', 'failed', 'compute1', 'p1', 'error', NULL, 0);
I (6, 'u6', 'building', 'compute1', 'p1', 'building', 'networking', 0);
I (9, 'u9', 'undecided', 'compute1', 'p1', 'soft-delete', NULL, 0);
I (10, 'u10', 'vpn1', 'compute1', 'p1', 'active', NULL, 0);
-- A deleted twin of web1's name, and one that nova cannot see.
I (7, 'u7', 'web1', 'compute1', 'p1', 'deleted', NULL, 7);
I (8, 'u8', 'ghost', 'compute1', 'p1', 'active', NULL, NULL);
V (1, 'fa:16:3e:00:00:01', 1, 'v1', 'u1', 0);
V (2, 'fa:16:3e:00:00:02', 2, 'v2', 'u2', 0);
V (3, 'fa:16:3e:00:00:03', 1, 'v3', 'u3', 0);
V (4, 'fa:16:3e:00:00:04', 1, 'v4', 'u4', 0);
V (6, 'fa:16:3e:00:00:06', 1, 'v6', 'u6', 0);
V (7, 'fa:16:3e:00:00:01', 1, 'v7', 'u7', 7);
V (8, 'fa:16:3e:00:00:02', 1, 'v8', 'u8', NULL);
V (9, 'fa:16:3e:00:00:09', 1, 'v9', 'u9', 0);
V (10, 'fa:16:3e:00:00:0a', 2, 'v10', 'u10', 0);
F (1, '10.0.0.1', 1, FALSE, FALSE, TRUE, NULL, NULL, NULL, NULL, 0);
-- .255 and .0 in a /23; two on one NIC.
F (2, '10.0.0.255', 1, TRUE, TRUE, FALSE, 1, NULL, 'u1', '2026-11-01 00:00:00', 0);
F (3, '10.0.1.0', 1, TRUE, FALSE, FALSE, 1, NULL, 'u1', '2026-11-01 00:00:00', 0);
-- The hosts' own.
F (4, '10.0.0.3', 1, FALSE, FALSE, FALSE, NULL, 'compute1', NULL, '2026-11-01 00:00:00', 0);
F (5, '10.0.0.4', 1, FALSE, FALSE, FALSE, NULL, 'compute2', NULL, '2026-11-01 00:00:00', 0);
-- One of them beside the network's range, where an operator put it.
F (18, '10.9.0.1', 1, FALSE, FALSE, FALSE, NULL, 'compute1', NULL, '2026-11-01 00:00:00', 0);
F (6, '10.1.0.3', 2, TRUE, TRUE, FALSE, 2, NULL, 'u2', '2026-11-01 00:00:00', 0);
F (7, '10.0.0.7', 1, TRUE, TRUE, FALSE, 3, NULL, 'u3', '2026-11-01 00:00:00', 0);
F (8, '10.0.0.8', 1, TRUE, FALSE, FALSE, 4, NULL, 'u4', '2026-11-01 00:00:00', 0);
-- Given back by the deleted twin, a moment ago: leased still, and not.
F (9, '10.0.0.9', 1, FALSE, TRUE, FALSE, 7, NULL, 'u7', '2026-11-26 11:55:00', 0);
F (10, '10.0.0.10', 1, FALSE, FALSE, FALSE, 7, NULL, 'u7', '2026-11-26 11:49:30', 0);
-- Free, with the NIC of who had it last; and plainly free.
F (11, '10.0.0.11', 1, FALSE, FALSE, FALSE, 7, NULL, NULL, '2026-11-01 00:00:00', 0);
F (12, '10.1.0.4', 2, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
-- Written by hand, invisible to nova; and a deleted twin.
F (13, '10.0.0.255', 1, TRUE, TRUE, FALSE, NULL, NULL, 'u7', '2026-11-01 00:00:00', NULL);
F (14, '10.0.0.255', 1, TRUE, TRUE, FALSE, 7, NULL, 'u7', '2026-11-01 00:00:00', 14);
F (15, '10.0.0.15', 1, TRUE, TRUE, FALSE, 9, NULL, 'u9', '2026-11-01 00:00:00', 0);
F (16, '10.1.0.2', 2, TRUE, TRUE, TRUE, 10, NULL, 'u10', '2026-11-01 00:00:00', 0);
-- Leased and allocated, of an instance that nova cannot see: nothing follows from it.
F (17, '10.0.0.17', 1, TRUE, TRUE, FALSE, 8, NULL, 'u8', '2026-11-01 00:00:00', 0);
L (1, '203.0.113.1', 2, 'p1', 'compute1', 0);
L (2, '203.0.113.2', NULL, 'p1', NULL, 0);
L (3, '203.0.113.3', NULL, NULL, NULL, 0);
L (4, '203.0.113.4', 7, 'p1', NULL, 0);
L (5, '203.0.113.1', 14, 'p1', 'compute1', 5);
L (6, '203.0.113.6', 14, NULL, 'compute7', NULL);
L (7, '203.0.113.7', 6, 'p1', 'netnode', 0);
L (8, '203.0.113.8', 8, 'p1', NULL, 0);
C (1, '[{"network":{"subnets":[{"ips":[{"address":"10.0.1.0","floating_ips":[]},{"address":"10.0.0.255","floating_ips":[{"address":"203.0.113.1"}]}]},{"ips":[{"address":"fd00::2"}]}]}}]', 'u1', 0);
C (2, '[{"network":{"subnets":[{"ips":[{"address":"10.1.0.3","floating_ips":[{"address":"203.0.113.7"}]}]}]}}]', 'u2', 0);
C (3, '[]', 'u3', 0);
C (5, '', 'u5', 0);
C (6, NULL, 'u6', 0);
C (7, '[{"network":{"subnets":[{"ips":[{"address":"10.0.0.99"}]}]}}]', 'u7', 7);
INSERT INTO security_groups (id, name, project_id, deleted) VALUES (1, 'default', 'p1', 0), (2, 'old', 'p1', 2);
INSERT INTO security_group_rules (id, parent_group_id, protocol, from_port, to_port, cidr, group_id, deleted) VALUES
 (1, 1, 'tcp', 22, 22, '0.0.0.0/0', NULL, 0), (2, 1, NULL, NULL, NULL, NULL, 1, 0),
 (3, 2, 'tcp', 80, 80, NULL, 1, 0), (4, 1, 'tcp', 81, 81, NULL, 2, 4);
INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted) VALUES
 (1, 1, 'u1', 0), (2, 2, 'u2', 2), (3, 2, 'u7', 0);

-- plant float-tied-to-deleted-instance
-- finds float-tied-to-deleted-instance floating_ips 100: address 203.0.113.100, host compute1, fixed_ip_id 100, fixed IP 10.0.0.100, instance_uuid u100, instance gone's
-- finds float-tied-to-deleted-instance floating_ips 101: address 203.0.113.101, host NULL, fixed_ip_id 11, fixed IP 10.0.0.11, instance_uuid NULL, instance NULL
-- finds fixed-ip-leaked fixed_ips 100: address 10.0.0.100, network_id 1, allocated 1, leased 1, reserved 0, host NULL, instance_uuid u100, instance gone's
-- finds vif-orphan virtual_interfaces 100: MAC fa:16:3e:00:01:00, network_id 1, instance_uuid u100, instance gone's
I (100, 'u100', 'gone''s', 'compute1', 'p1', 'deleted', NULL, 100);
V (100, 'fa:16:3e:00:01:00', 1, 'v100', 'u100', 0);
F (100, '10.0.0.100', 1, TRUE, TRUE, FALSE, 100, NULL, 'u100', '2026-11-01 00:00:00', 0);
L (100, '203.0.113.100', 100, 'p1', 'compute1', 0);
L (101, '203.0.113.101', 11, 'p1', NULL, 0);
-- plant float-fixed-ip-gone
-- finds float-fixed-ip-gone floating_ips 110: address 203.0.113.110, host compute1, fixed_ip_id 9999
-- finds float-fixed-ip-gone floating_ips 111: address 203.0.113.111, host compute1, fixed_ip_id 14
L (110, '203.0.113.110', 9999, 'p1', 'compute1', 0);
L (111, '203.0.113.111', 14, 'p1', 'compute1', 0);
-- plant float-host-without-fixed-ip
-- finds float-host-without-fixed-ip floating_ips 120: address 203.0.113.120, host compute1
L (120, '203.0.113.120', NULL, 'p1', 'compute1', 0);
-- plant float-without-project
-- finds float-without-project floating_ips 130: address 203.0.113.130, fixed_ip_id 130, project_id p1, instance w130
I (130, 'u130', 'w130', 'compute1', 'p1', 'active', NULL, 0);
V (130, 'fa:16:3e:00:01:30', 1, 'v130', 'u130', 0);
F (130, '10.0.0.130', 1, TRUE, TRUE, FALSE, 130, NULL, 'u130', '2026-11-01 00:00:00', 0);
L (130, '203.0.113.130', 130, NULL, 'compute1', 0);
-- plant float-host-mismatch
-- finds float-host-mismatch floating_ips 140: address 203.0.113.140, fixed_ip_id 140, host compute2, right host compute1, instance w140
-- finds float-host-mismatch floating_ips 141: address 203.0.113.141, fixed_ip_id 141, host NULL, right host netnode, instance w141
I (140, 'u140', 'w140', 'compute1', 'p1', 'active', NULL, 0);
I (141, 'u141', 'w141', 'compute1', 'p1', 'active', NULL, 0);
V (140, 'fa:16:3e:00:01:40', 1, 'v140', 'u140', 0);
V (141, 'fa:16:3e:00:01:41', 2, 'v141', 'u141', 0);
F (140, '10.0.0.140', 1, TRUE, TRUE, FALSE, 140, NULL, 'u140', '2026-11-01 00:00:00', 0);
F (141, '10.1.0.141', 2, TRUE, TRUE, FALSE, 141, NULL, 'u141', '2026-11-01 00:00:00', 0);
L (140, '203.0.113.140', 140, 'p1', 'compute2', 0);
L (141, '203.0.113.141', 141, 'p1', NULL, 0);
-- plant float-twice-to-one
-- finds float-twice-to-one floating_ips 150: address 203.0.113.150, fixed_ip_id 150, fixed IP 10.0.0.150, instance w150
-- finds float-twice-to-one floating_ips 151: address 203.0.113.151, fixed_ip_id 150, fixed IP 10.0.0.150, instance w150
I (150, 'u150', 'w150', 'compute1', 'p1', 'active', NULL, 0);
V (150, 'fa:16:3e:00:01:50', 1, 'v150', 'u150', 0);
F (150, '10.0.0.150', 1, TRUE, TRUE, FALSE, 150, NULL, 'u150', '2026-11-01 00:00:00', 0);
L (150, '203.0.113.150', 150, 'p1', 'compute1', 0);
L (151, '203.0.113.151', 150, 'p1', 'compute1', 0);
L (152, '203.0.113.152', 150, 'p1', 'compute1', 152);
-- plant floating-ip-twice
-- finds floating-ip-twice floating_ips 160: address 203.0.113.160, fixed_ip_id NULL, project_id NULL
-- finds floating-ip-twice floating_ips 161: address 203.0.113.160, fixed_ip_id NULL, project_id p1
L (160, '203.0.113.160', NULL, NULL, NULL, 0);
L (161, '203.0.113.160', NULL, 'p1', NULL, 0);
-- plant fixed-ip-leaked
-- finds fixed-ip-leaked fixed_ips 170: address 10.0.0.170, network_id 1, allocated 1, leased 0, reserved 0, host NULL, instance_uuid NULL, instance NULL
-- finds fixed-ip-leaked fixed_ips 171: address 10.0.0.171, network_id 1, allocated 0, leased 1, reserved 0, host NULL, instance_uuid NULL, instance NULL
-- finds fixed-ip-leaked fixed_ips 172: address 10.0.0.172, network_id 1, allocated 1, leased 1, reserved 0, host NULL, instance_uuid nobody, instance NULL
-- finds fixed-ip-leaked fixed_ips 173: address 10.0.0.173, network_id 1, allocated 1, leased 0, reserved 0, host NULL, instance_uuid u7, instance web1
F (170, '10.0.0.170', 1, TRUE, FALSE, FALSE, NULL, NULL, NULL, '2026-11-01 00:00:00', 0);
F (171, '10.0.0.171', 1, FALSE, TRUE, FALSE, NULL, NULL, NULL, '2026-11-01 00:00:00', 0);
F (172, '10.0.0.172', 1, TRUE, TRUE, FALSE, NULL, NULL, 'nobody', '2026-11-01 00:00:00', 0);
-- finds fixed-ip-leaked fixed_ips 174: address 10.0.0.174, network_id 1, allocated 1, leased 1, reserved 0, host compute1, instance_uuid u7, instance web1
-- finds fixed-ip-leaked fixed_ips 175: address 10.0.0.175, network_id 1, allocated 1, leased 0, reserved 1, host NULL, instance_uuid u7, instance web1
F (173, '10.0.0.173', 1, TRUE, FALSE, FALSE, NULL, NULL, 'u7', '2026-11-01 00:00:00', 0);
-- A host's own, and a reserved one, of who is gone.
F (174, '10.0.0.174', 1, TRUE, TRUE, FALSE, NULL, 'compute1', 'u7', '2026-11-01 00:00:00', 0);
F (175, '10.0.0.175', 1, TRUE, FALSE, TRUE, NULL, NULL, 'u7', '2026-11-01 00:00:00', 0);
-- plant fixed-ip-not-released
-- finds fixed-ip-not-released fixed_ips 180: address 10.0.0.180, leased 1, updated_at 2026-11-26 11:48:00, whose task compute1, instance_uuid u7, instance web1
-- finds fixed-ip-not-released fixed_ips 181: address 10.1.0.181, leased 0, updated_at 2026-11-26 11:40:00, whose task netnode, instance_uuid u2, instance db1
F (180, '10.0.0.180', 1, FALSE, TRUE, FALSE, NULL, NULL, 'u7', '2026-11-26 11:48:00', 0);
F (181, '10.1.0.181', 2, FALSE, FALSE, FALSE, NULL, NULL, 'u2', '2026-11-26 11:40:00', 0);
-- plant fixed-ip-without-vif
-- finds fixed-ip-without-vif fixed_ips 190: address 10.0.0.190, virtual_interface_id NULL, instance_uuid u9, instance undecided
-- finds fixed-ip-without-vif fixed_ips 191: address 10.0.0.191, virtual_interface_id 7, instance_uuid u9, instance undecided
F (190, '10.0.0.190', 1, TRUE, TRUE, FALSE, NULL, NULL, 'u9', '2026-11-01 00:00:00', 0);
F (191, '10.0.0.191', 1, TRUE, TRUE, FALSE, 7, NULL, 'u9', '2026-11-01 00:00:00', 0);
-- plant fixed-ip-vif-mismatch
-- finds fixed-ip-vif-mismatch fixed_ips 200: address 10.0.0.200, network_id 1, virtual_interface_id 4, NIC's network_id 1, instance_uuid u9, NIC's instance_uuid u4, instance undecided
-- finds fixed-ip-vif-mismatch fixed_ips 201: address 10.1.0.201, network_id 2, virtual_interface_id 9, NIC's network_id 1, instance_uuid u9, NIC's instance_uuid u9, instance undecided
F (200, '10.0.0.200', 1, TRUE, TRUE, FALSE, 4, NULL, 'u9', '2026-11-01 00:00:00', 0);
F (201, '10.1.0.201', 2, TRUE, TRUE, FALSE, 9, NULL, 'u9', '2026-11-01 00:00:00', 0);
-- plant fixed-ip-reserved-in-use
-- finds fixed-ip-reserved-in-use fixed_ips 210: address 10.0.0.210, allocated 1, instance_uuid u9, instance undecided
F (210, '10.0.0.210', 1, TRUE, TRUE, TRUE, 9, NULL, 'u9', '2026-11-01 00:00:00', 0);
-- plant host-address-in-use
-- finds host-address-in-use fixed_ips 220: address 10.0.0.220, host compute2, instance's host compute1, instance_uuid u9, instance undecided
F (220, '10.0.0.220', 1, TRUE, TRUE, FALSE, 9, 'compute2', 'u9', '2026-11-01 00:00:00', 0);
-- plant host-address-without-service
-- finds host-address-without-service fixed_ips 230: address 10.0.0.230, network_id 1, host compute9
F (230, '10.0.0.230', 1, FALSE, FALSE, FALSE, NULL, 'compute9', NULL, '2026-11-01 00:00:00', 0);
-- plant fixed-ip-outside-network
-- finds fixed-ip-outside-network fixed_ips 240: address 10.0.2.0, network_id 1, range 10.0.0.0/23, instance NULL
-- finds fixed-ip-outside-network fixed_ips 241: address nonsense, network_id 2, range 10.1.0.0/24, instance NULL
F (240, '10.0.2.0', 1, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
F (241, 'nonsense', 2, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
-- plant fixed-ip-of-other-project
-- finds fixed-ip-of-other-project fixed_ips 250: address 10.1.0.250, network red, network's project p1, project p2, instance w250
I (250, 'u250', 'w250', 'compute1', 'p2', 'active', NULL, 0);
V (250, 'fa:16:3e:00:02:50', 2, 'v250', 'u250', 0);
F (250, '10.1.0.250', 2, TRUE, TRUE, FALSE, 250, NULL, 'u250', '2026-11-01 00:00:00', 0);
-- plant fixed-ip-twice
-- finds fixed-ip-twice fixed_ips 12: address 10.1.0.4, network_id 2, reserved 0, leased 0, host NULL, instance_uuid NULL, instance NULL
-- finds fixed-ip-twice fixed_ips 260: address 10.1.0.4, network_id 2, reserved 0, leased 0, host NULL, instance_uuid NULL, instance NULL
F (260, '10.1.0.4', 2, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
-- plant mac-twice
-- finds mac-twice virtual_interfaces 4: MAC fa:16:3e:00:00:04, network_id 1, instance_uuid u4, instance shelved
-- finds mac-twice virtual_interfaces 270: MAC fa:16:3e:00:00:04, network_id 1, instance_uuid u9, instance undecided
V (270, 'FA:16:3E:00:00:04', 1, 'v270', 'u9', 0);
-- plant vif-orphan
-- finds vif-orphan virtual_interfaces 280: MAC fa:16:3e:00:02:80, network_id 1, instance_uuid u7, instance web1
-- finds vif-orphan virtual_interfaces 281: MAC fa:16:3e:00:02:81, network_id 1, instance_uuid NULL, instance NULL
V (280, 'fa:16:3e:00:02:80', 1, 'v280', 'u7', 0);
V (281, 'fa:16:3e:00:02:81', 1, 'v281', NULL, 0);
-- plant instance-without-address
-- finds instance-without-address virtual_interfaces 290: MAC fa:16:3e:00:02:90, network_id 1, instance_uuid u290, instance w290
I (290, 'u290', 'w290', 'compute1', 'p1', 'active', NULL, 0);
V (290, 'fa:16:3e:00:02:90', 1, 'v290', 'u290', 0);
-- plant instance-without-nic
-- finds instance-without-nic instances 295: MAC fa:16:3e:00:02:95, cache 10.0.0.195, instance_uuid u295, instance w295
I (295, 'u295', 'w295', 'compute1', 'p1', 'active', NULL, 0);
V (295, 'fa:16:3e:00:02:95', 1, 'v295', 'u295', 295);
C (295, '[{"address":"fa:16:3e:00:02:95","network":{"id":"Net-1","subnets":[{"ips":[{"address":"10.0.0.195"}]}]}}]', 'u295', 0);
-- Built without a NIC; ending; stopped by an error before it had one.
I (296, 'u296', 'w296', 'compute1', 'p1', 'active', NULL, 0);
C (296, '[]', 'u296', 0);
I (297, 'u297', 'w297', 'compute1', 'p1', 'active', 'deleting', 0);
C (297, '[{"address":"fa:16:3e:00:02:97","network":{"id":"net-1","subnets":[]}}]', 'u297', 0);
I (298, 'u298', 'w298', 'compute1', 'p1', 'error', NULL, 0);
C (298, '[{"address":"fa:16:3e:00:02:98","network":{"id":"net-1","subnets":[]}}]', 'u298', 0);
-- plant info-cache-differs
-- finds info-cache-differs instance_info_caches 302: instance_uuid u302, instance w302, cache 10.0.0.202, tables no fixed IP
-- finds info-cache-differs instance_info_caches 300: instance_uuid u4, instance shelved, cache 10.0.0.77, tables 10.0.0.8 (floating 203.0.113.8)
-- finds info-cache-differs instance_info_caches 301: instance_uuid u10, instance vpn1, cache no JSON that can be read, tables 10.1.0.2
C (300, '[{"network":{"subnets":[{"ips":[{"address":"10.0.0.77"}]}]}}]', 'u4', 0);
C (301, '[{', 'u10', 0);
-- On a network that is none of nova's.
I (302, 'u302', 'w302', 'compute1', 'p1', 'active', NULL, 0);
C (302, '[{"address":"fa:16:3e:00:03:02","network":{"id":"other","subnets":[{"ips":[{"address":"10.0.0.202"}]}]}}]', 'u302', 0);
-- finds info-cache-differs instance_info_caches 303: instance_uuid u303, instance w303, cache 10.0.0.203 on fa:16:3e:00:03:99 (floating 203.0.113.193), tables 10.0.0.203 on fa:16:3e:00:03:03 (floating 203.0.113.193)
-- finds info-cache-differs instance_info_caches 304: instance_uuid u304, instance w304, cache 10.0.0.204 in network net-2 10.0.0.205 by NIC v305 in network net-2, tables 10.0.0.204 by NIC v304 in network net-1 10.0.0.205 by NIC v304 in network net-1
-- finds info-cache-differs instance_info_caches 306: instance_uuid u306, instance w306, cache 10.0.0.208 10.0.0.209 (floating 203.0.113.196), tables 10.0.0.208 (floating 203.0.113.196) 10.0.0.209
-- Its MAC; its network, and the NIC of one of two; and on which of two its floating IP hangs.
I (303, 'u303', 'w303', 'compute1', 'p1', 'active', NULL, 0);
V (303, 'fa:16:3e:00:03:03', 1, 'v303', 'u303', 0);
F (303, '10.0.0.203', 1, TRUE, TRUE, FALSE, 303, NULL, 'u303', '2026-11-01 00:00:00', 0);
L (303, '203.0.113.193', 303, 'p1', 'compute1', 0);
C (303, '[{"id":"v303","address":"fa:16:3e:00:03:99","network":{"id":"net-1","subnets":[{"ips":[{"address":"10.0.0.203","floating_ips":[{"address":"203.0.113.193"}]}]}]}}]', 'u303', 0);
I (304, 'u304', 'w304', 'compute1', 'p1', 'active', NULL, 0);
V (304, 'fa:16:3e:00:03:04', 1, 'v304', 'u304', 0);
F (304, '10.0.0.204', 1, TRUE, TRUE, FALSE, 304, NULL, 'u304', '2026-11-01 00:00:00', 0);
F (305, '10.0.0.205', 1, TRUE, TRUE, FALSE, 304, NULL, 'u304', '2026-11-01 00:00:00', 0);
C (304, '[{"address":"fa:16:3e:00:03:04","network":{"id":"net-2","subnets":[{"ips":[{"address":"10.0.0.204"}]}]}},{"id":"v305","network":{"id":"net-2","subnets":[{"ips":[{"address":"10.0.0.205"}]}]}}]', 'u304', 0);
I (306, 'u306', 'w306', 'compute1', 'p1', 'active', NULL, 0);
V (306, 'fa:16:3e:00:03:06', 1, 'v306', 'u306', 0);
F (306, '10.0.0.208', 1, TRUE, TRUE, FALSE, 306, NULL, 'u306', '2026-11-01 00:00:00', 0);
F (307, '10.0.0.209', 1, TRUE, TRUE, FALSE, 306, NULL, 'u306', '2026-11-01 00:00:00', 0);
L (306, '203.0.113.196', 306, 'p1', 'compute1', 0);
C (306, '[{"id":"v306","address":"fa:16:3e:00:03:06","network":{"id":"net-1","subnets":[{"ips":[{"address":"10.0.0.208","floating_ips":[]},{"address":"10.0.0.209","floating_ips":[{"address":"203.0.113.196"}]}]}]}}]', 'u306', 0);
-- plant network-full
-- finds network-full networks 310: label full, range 10.31.0.0/29, free 0, of 4, leaked 2, not released 1
-- finds fixed-ip-leaked fixed_ips 311: address 10.31.0.1, network_id 310, allocated 0, leased 1, reserved 0, host NULL, instance_uuid NULL, instance NULL
N (310, 'full', '10.31.0.0/29', '255.255.255.248', '10.31.0.7', 'br310', 310, FALSE, 'p1', 'netnode', NULL, 0);
-- finds fixed-ip-not-released fixed_ips 313: address 10.31.0.5, leased 0, updated_at NULL, whose task netnode, instance_uuid u7, instance web1
-- finds fixed-ip-leaked fixed_ips 314: address 10.31.0.6, network_id 310, allocated NULL, leased 0, reserved 0, host NULL, instance_uuid u7, instance web1
-- Given back and never written again, which nova's time-out misses; and neither allocated nor not.
F (313, '10.31.0.5', 310, FALSE, FALSE, FALSE, NULL, NULL, 'u7', NULL, 0);
F (314, '10.31.0.6', 310, NULL, FALSE, FALSE, NULL, NULL, 'u7', NULL, 0);
F (310, '10.31.0.0', 310, FALSE, FALSE, TRUE, NULL, NULL, NULL, NULL, 0);
F (311, '10.31.0.1', 310, FALSE, TRUE, FALSE, NULL, NULL, NULL, NULL, 0);
F (312, '10.31.0.2', 310, TRUE, TRUE, FALSE, 312, NULL, 'u312', NULL, 0);
I (312, 'u312', 'w312', 'compute1', 'p1', 'active', NULL, 0);
V (312, 'fa:16:3e:00:03:12', 310, 'v312', 'u312', 0);
-- plant fixed-ip-without-network
-- finds fixed-ip-without-network fixed_ips 410: address 10.41.0.4, network_id 410, host NULL, instance_uuid NULL, instance NULL
-- finds fixed-ip-without-network fixed_ips 411: address 10.41.0.5, network_id 3, host NULL, instance_uuid NULL, instance NULL
F (410, '10.41.0.4', 410, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
F (411, '10.41.0.5', 3, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
-- plant fixed-ip-flag-missing
-- finds fixed-ip-flag-missing fixed_ips 420: address 10.0.0.206, allocated 0, leased NULL, reserved 0, right allocated 0, right leased 0, right reserved 0, instance_uuid NULL, instance NULL
-- finds fixed-ip-flag-missing fixed_ips 421: address 10.1.0.255, allocated 0, leased 0, reserved NULL, right allocated 0, right leased 0, right reserved 1, instance_uuid NULL, instance NULL
-- finds fixed-ip-flag-missing fixed_ips 422: address 10.0.0.207, allocated NULL, leased 1, reserved 0, right allocated 1, right leased 1, right reserved 0, instance_uuid u9, instance undecided
F (420, '10.0.0.206', 1, FALSE, NULL, FALSE, NULL, NULL, NULL, NULL, 0);
F (421, '10.1.0.255', 2, FALSE, FALSE, NULL, NULL, NULL, NULL, NULL, 0);
F (422, '10.0.0.207', 1, NULL, TRUE, FALSE, 9, NULL, 'u9', '2026-11-01 00:00:00', 0);
-- plant info-cache-deleted
-- finds info-cache-deleted instance_info_caches 430: deleted 430, instance_uuid u430, instance w430
I (430, 'u430', 'w430', 'compute1', 'p1', 'active', NULL, 0);
C (430, '[]', 'u430', 430);
-- plant network-overlap
-- finds network-overlap networks 323: label deep, range fd00:32::/64, other high, other's range fd00:32::/48
-- finds network-overlap networks 320: label wide, range 10.32.0.0/25, other wider, other's range 10.32.0.0/24
N (320, 'wide', '10.32.0.0/25', '255.255.255.128', '10.32.0.127', 'br320', 320, FALSE, 'p1', 'netnode', NULL, 0);
N (321, 'wider', '10.32.0.0/24', '255.255.255.0', '10.32.0.255', 'br321', 321, FALSE, 'p1', 'netnode', NULL, 0);
N (322, 'high', '10.32.1.0/24', '255.255.255.0', '10.32.1.255', 'br322', 322, FALSE, 'p1', 'netnode', NULL, 0);
N (323, 'deep', '10.32.2.0/24', '255.255.255.0', '10.32.2.255', 'br323', 323, FALSE, 'p1', 'netnode', NULL, 0);
UPDATE networks SET cidr_v6 = 'fd00:32::/48' WHERE id = 322;
UPDATE networks SET cidr_v6 = 'fd00:32::/64' WHERE id = 323;
-- plant network-vlan-twice
-- finds network-vlan-twice networks 331: label two, vlan 330, other one
N (330, 'one', '10.33.0.0/24', '255.255.255.0', '10.33.0.255', 'br330', 330, FALSE, 'p1', 'netnode', NULL, 0);
N (331, 'two', '10.33.1.0/24', '255.255.255.0', '10.33.1.255', 'br331', 330, FALSE, 'p1', 'netnode', NULL, 0);
-- plant network-bridge-twice
-- finds network-bridge-twice networks 340: label second, bridge br100, other flat
N (340, 'second', '10.34.0.0/24', '255.255.255.0', '10.34.0.255', 'br100', NULL, TRUE, NULL, NULL, NULL, 0);
-- plant network-mask-wrong
-- finds network-mask-wrong networks 350: label odd, range 10.35.0.0/24, netmask 255.255.0.0, broadcast 10.35.0.255, right netmask 255.255.255.0, right broadcast 10.35.0.255
N (350, 'odd', '10.35.0.0/24', '255.255.0.0', '10.35.0.255', 'br350', 350, FALSE, 'p1', 'netnode', NULL, 0);
-- plant group-rule-of-deleted-group
-- finds group-rule-of-deleted-group security_group_rules 360: protocol tcp, from_port 80, to_port 80, group_id 2, source group old, group default
INSERT INTO security_group_rules (id, parent_group_id, protocol, from_port, to_port, cidr, group_id, deleted) VALUES (360, 1, 'tcp', 80, 80, NULL, 2, 0);
-- plant group-membership-of-deleted-group
-- finds group-membership-of-deleted-group security_group_instance_association 370: security_group_id 2, group old, instance_uuid u1, instance web1
INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted) VALUES (370, 2, 'u1', 0);
-- near a host's own address that is marked as allocated
UPDATE fixed_ips SET allocated = TRUE WHERE id = 4;
-- near a fixed IP of no network, which nova gives out on any
F (440, '10.0.0.99', NULL, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
-- near a mark that nova does not look at
UPDATE fixed_ips SET allocated = NULL WHERE id = 12;
-- near a cache that was deleted and made anew
C (431, '[]', 'u1', 431);
-- near a float whose instance is switched off
UPDATE instances SET vm_state = 'stopped' WHERE id = 1;
-- near a network whose last address was just taken back
UPDATE fixed_ips SET allocated = FALSE, leased = TRUE, updated_at = '2026-11-26 11:59:00' WHERE id = 15;
-- near a time in the future, of a host whose clock is ahead
UPDATE fixed_ips SET updated_at = '2026-11-27 12:00:00' WHERE id = 9;
-- near floating IPs that were moved a moment ago, and a fixed one that was taken back: the cache is written last
UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL, updated_at = '2026-11-26 11:59:30' WHERE id = 7;
UPDATE floating_ips SET fixed_ip_id = 6, host = 'netnode', updated_at = '2026-11-26 11:59:30' WHERE id = 2;
UPDATE fixed_ips SET allocated = FALSE, updated_at = '2026-11-26 11:59:30' WHERE id = 3;
-- near an address that was given back, which the cache has until the time-out unties it
UPDATE fixed_ips SET allocated = FALSE, updated_at = '2026-11-26 11:55:00' WHERE id = 3;
-- near a cache as nova writes it whole, in other letters, of two NICs of which one has no address
V (309, 'fa:16:3e:00:03:09', 2, 'V309', 'u309', 0);
I (309, 'u309', 'w309', 'compute1', 'p1', 'error', NULL, 0);
V (308, 'FA:16:3E:00:03:08', 1, 'V308', 'u309', 0);
F (308, '10.0.0.197', 1, TRUE, TRUE, FALSE, 308, NULL, 'u309', '2026-11-01 00:00:00', 0);
C (308, '[{"id":"v308","address":"fa:16:3e:00:03:08","network":{"id":"NET-1","subnets":[{"ips":[{"address":"10.0.0.197","floating_ips":[]}]},{"ips":[{"address":"fd00:1::8"}]}]}}]', 'u309', 0);
-- near caches whose NICs have no uuid, or their networks' numbers, as old series wrote them
UPDATE instance_info_caches SET network_info = '[{"id":null,"address":"fa:16:3e:00:00:02","network":{"id":2,"subnets":[{"ips":[{"address":"10.1.0.3","floating_ips":[{"address":"203.0.113.7"}]}]}]}}]' WHERE id = 2;
-- near a floating IP on a network whose host has not been chosen
UPDATE networks SET host = '' WHERE id = 2;
-- near a network without DHCP that shares a bridge
INSERT INTO networks (id, label, cidr, netmask, broadcast, bridge, multi_host, enable_dhcp, deleted) VALUES (400, 'static', '10.40.0.0/24', '255.255.255.0', '10.40.0.255', 'br100', TRUE, FALSE, 0);
-- near an instance that is being deleted, its parts already gone
UPDATE instances SET task_state = 'deleting' WHERE id = 2;
UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = 7;
UPDATE fixed_ips SET allocated = FALSE, updated_at = '2026-11-26 11:59:00' WHERE id = 6;
UPDATE virtual_interfaces SET deleted = id WHERE id = 2;
