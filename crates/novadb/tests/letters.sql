-- Hosts, projects and uuids in other letters, or with a blank behind them, in the cloud of `planted.sql` and written
-- as it is. Each piece begins with `-- plant`.
-- plant same
INSERT INTO services (id, host, "binary", topic, report_count, deleted) VALUES
 (5, 'Compute5', 'Nova-Network', 'network', 1, 0);
F (505, '10.0.0.55', 1, FALSE, FALSE, FALSE, NULL, 'compute5', NULL, '2026-11-01 00:00:00', 0);
F (502, '10.0.0.52', 1, FALSE, FALSE, FALSE, NULL, 'COMPUTE2', NULL, '2026-11-01 00:00:00', 0);
F (503, '10.0.0.53', 1, FALSE, FALSE, FALSE, NULL, 'compute1 ', NULL, '2026-11-01 00:00:00', 0);
I (500, 'a5-0', 'w500', 'compute1', 'p1', 'active', NULL, 0);
V (500, 'fa:16:3e:00:05:00', 2, 'v500', 'A5-0', 0);
F (500, '10.1.0.50', 2, TRUE, TRUE, FALSE, 500, NULL, 'A5-0', '2026-11-01 00:00:00', 0);
L (500, '203.0.113.50', 500, 'p1', 'NetNode ', 0);
C (500, '[{"network":{"subnets":[{"ips":[{"address":"10.1.0.50","floating_ips":[{"address":"203.0.113.50"}]}]}]}}]', 'A5-0', 0);
INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted) VALUES
 (500, 1, 'A5-0', 0);
I (501, 'a5-1', 'w501', 'Compute1', 'P1', 'active', NULL, 0);
V (501, 'fa:16:3e:00:05:01', 2, 'v501', 'a5-1', 0);
F (501, '10.1.0.51', 2, TRUE, TRUE, FALSE, 501, NULL, 'A5-1', '2026-11-01 00:00:00', 0);
I (504, 'a5-4', 'w504', 'compute1', 'p1', 'active', NULL, 0);
V (504, 'fa:16:3e:00:05:04', 1, 'v504', 'a5-4', 0);
F (504, '10.0.0.54', 1, TRUE, TRUE, FALSE, 504, NULL, 'a5-4', '2026-11-01 00:00:00', 0);
L (504, '203.0.113.54', 504, 'p1', 'COMPUTE1', 0);
L (505, '203.0.113.55', NULL, NULL, ' ', 0);
-- What nova compares by itself is the very word: no state of an instance is called ACTIVE.
I (510, 'a5-10', 'w510', 'compute1', 'p1', 'ACTIVE', NULL, 0);
V (510, 'fa:16:3e:00:05:10', 1, 'v510', 'a5-10', 0);
-- In a mixture of small letters and capitals: the instance's own, and what ties rows to it.
I (530, 'AbCdEf00-0000-4000-8000-00000000530A', 'w530', 'compute1', 'p1', 'active', NULL, 0);
V (530, 'fa:16:3e:00:05:30', 1, 'v530', 'abcdef00-0000-4000-8000-00000000530a', 0);
F (530, '10.0.0.130', 1, TRUE, TRUE, FALSE, 530, NULL, 'abcdef00-0000-4000-8000-00000000530a', '2026-11-01 00:00:00', 0);
L (530, '203.0.113.53', 530, 'p1', 'compute1', 0);
C (530, '[{"network":{"subnets":[{"ips":[{"address":"10.0.0.130","floating_ips":[{"address":"203.0.113.53"}]}]}]}}]', 'ABCDEF00-0000-4000-8000-00000000530A', 0);
INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted) VALUES
 (530, 1, 'AbCdEf00-0000-4000-8000-00000000530A', 0);
I (531, 'abcdef00-0000-4000-8000-00000000531a', 'w531', 'compute1', 'p1', 'active', NULL, 0);
V (531, 'fa:16:3e:00:05:31', 1, 'v531', 'aBcDeF00-0000-4000-8000-00000000531a', 0);
F (531, '10.0.0.131', 1, TRUE, TRUE, FALSE, 531, NULL, 'ABcdEF00-0000-4000-8000-00000000531a', '2026-11-01 00:00:00', 0);
L (531, '203.0.113.57', 531, 'p1', 'compute1', 0);
C (531, '[{"network":{"subnets":[{"ips":[{"address":"10.0.0.131","floating_ips":[{"address":"203.0.113.57"}]}]}]}}]', 'abCDef00-0000-4000-8000-00000000531A', 0);
INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted) VALUES
 (531, 1, 'abcdEF00-0000-4000-8000-00000000531A', 0);
-- plant faults
-- finds float-tied-to-deleted-instance floating_ips 520: address 203.0.113.52, host compute1, fixed_ip_id 520, fixed IP 10.0.0.120, instance_uuid B5-20, instance w520
-- finds float-tied-to-deleted-instance floating_ips 540: address 203.0.113.140, host compute1, fixed_ip_id 540, fixed IP 10.0.0.140, instance_uuid aBcDeF00-0000-4000-8000-00000000540a, instance w540
-- finds fixed-ip-leaked fixed_ips 520: address 10.0.0.120, network_id 1, allocated 1, leased 1, reserved 0, host NULL, instance_uuid B5-20, instance w520
-- finds fixed-ip-leaked fixed_ips 522: address 10.0.0.122, network_id 1, allocated 1, leased 0, reserved 0, host  , instance_uuid NULL, instance NULL
-- finds fixed-ip-leaked fixed_ips 540: address 10.0.0.140, network_id 1, allocated 1, leased 1, reserved 0, host NULL, instance_uuid aBcDeF00-0000-4000-8000-00000000540a, instance w540
-- finds host-address-without-service fixed_ips 523: address 10.0.0.123, network_id 1, host COMPUTE9
-- finds vif-orphan virtual_interfaces 520: MAC fa:16:3e:00:05:20, network_id 1, instance_uuid B5-20, instance w520
-- finds instance-without-address virtual_interfaces 521: MAC fa:16:3e:00:05:21, network_id 1, instance_uuid B5-21, instance w521
I (520, 'b5-20', 'w520', 'compute1', 'p1', 'deleted', NULL, 520);
V (520, 'fa:16:3e:00:05:20', 1, 'v520', 'B5-20', 0);
F (520, '10.0.0.120', 1, TRUE, TRUE, FALSE, 520, NULL, 'B5-20', '2026-11-01 00:00:00', 0);
L (520, '203.0.113.52', 520, 'p1', 'compute1', 0);
I (521, 'b5-21', 'w521', 'compute1', 'p1', 'active', NULL, 0);
V (521, 'fa:16:3e:00:05:21', 1, 'v521', 'B5-21', 0);
F (522, '10.0.0.122', 1, TRUE, FALSE, FALSE, NULL, ' ', NULL, '2026-11-01 00:00:00', 0);
F (523, '10.0.0.123', 1, FALSE, FALSE, FALSE, NULL, 'COMPUTE9', NULL, '2026-11-01 00:00:00', 0);
I (540, 'AbCdEf00-0000-4000-8000-00000000540A', 'w540', 'compute1', 'p1', 'deleted', NULL, 540);
F (540, '10.0.0.140', 1, TRUE, TRUE, FALSE, NULL, NULL, 'aBcDeF00-0000-4000-8000-00000000540a', '2026-11-01 00:00:00', 0);
L (540, '203.0.113.140', 540, 'p1', 'compute1', 0);
