-- What is inconsistent in rows of instances that live, in the words of `planted.sql`, for what `planted.sql` has of
-- nobody's rows alone. web1 is u1 on network 1, db1 is u2 on network 2.
-- plant a fixed IP that another has as well
-- finds fixed-ip-twice fixed_ips 2: address 10.0.0.255, network_id 1, reserved 0, leased 1, host NULL, instance_uuid u1, instance web1
-- finds fixed-ip-twice fixed_ips 500: address 10.0.0.255, network_id 1, reserved 0, leased 0, host NULL, instance_uuid NULL, instance NULL
F (500, '10.0.0.255', 1, FALSE, FALSE, FALSE, NULL, NULL, NULL, NULL, 0);
-- plant a floating IP that another has as well
-- finds floating-ip-twice floating_ips 1: address 203.0.113.1, fixed_ip_id 2, project_id p1
-- finds floating-ip-twice floating_ips 501: address 203.0.113.1, fixed_ip_id NULL, project_id NULL
L (501, '203.0.113.1', NULL, NULL, NULL, 0);
-- plant an orphan that has its MAC
-- finds mac-twice virtual_interfaces 1: MAC fa:16:3e:00:00:01, network_id 1, instance_uuid u1, instance web1
-- finds mac-twice virtual_interfaces 502: MAC fa:16:3e:00:00:01, network_id 1, instance_uuid u7, instance NULL
-- finds vif-orphan virtual_interfaces 502: MAC FA:16:3E:00:00:01, network_id 1, instance_uuid u7, instance web1
V (502, 'FA:16:3E:00:00:01', 1, 'v502', 'u7', 0);
-- plant an address of no network, and one beside its own
-- finds fixed-ip-outside-network fixed_ips 504: address 10.9.9.9, network_id 2, range 10.1.0.0/24, instance db1
-- finds fixed-ip-without-network fixed_ips 503: address 10.41.0.4, network_id 3, host NULL, instance_uuid u9, instance undecided
-- finds fixed-ip-vif-mismatch fixed_ips 503: address 10.41.0.4, network_id 3, virtual_interface_id 9, NIC's network_id 1, instance_uuid u9, NIC's instance_uuid u9, instance undecided
F (503, '10.41.0.4', 3, TRUE, TRUE, FALSE, 9, NULL, 'u9', '2026-11-01 00:00:00', 0);
F (504, '10.9.9.9', 2, TRUE, TRUE, FALSE, 2, NULL, 'u2', '2026-11-26 11:59:30', 0);
-- plant networks that are in the way of its own
-- finds network-overlap networks 505: label beside, range 10.1.0.0/25, other red, other's range 10.1.0.0/24
-- finds network-vlan-twice networks 505: label beside, vlan 101, other red
-- finds network-bridge-twice networks 505: label beside, bridge br101, other red
N (505, 'beside', '10.1.0.0/25', '255.255.255.128', '10.1.0.127', 'br101', 101, FALSE, 'p1', 'netnode', NULL, 0);
-- plant a mask that contradicts its own network's range
-- finds network-mask-wrong networks 1: label flat, range 10.0.0.0/23, netmask 255.255.0.0, broadcast 10.0.1.255, right netmask 255.255.254.0, right broadcast 10.0.1.255
UPDATE networks SET netmask = '255.255.0.0' WHERE id = 1;
-- near rows in other letters
UPDATE fixed_ips SET instance_uuid = 'U1' WHERE id = 2;
UPDATE virtual_interfaces SET instance_uuid = 'U1' WHERE id = 1;
