-- The tables of nova (Queens) that tell where addresses belong, as its migrations leave them on SQLite.
-- deleted: 0 = live, = id when soft deleted; no defaults, as in nova. The indexes are those of nova's migrations up to
-- Queens (nova/db/sqlalchemy/models.py `__table_args__`), each table's after it.
CREATE TABLE networks (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    injected BOOLEAN, cidr VARCHAR(43), netmask VARCHAR(39), bridge VARCHAR(255), gateway VARCHAR(39),
    broadcast VARCHAR(39), dns1 VARCHAR(39), vlan INTEGER, vpn_public_address VARCHAR(39),
    vpn_public_port INTEGER, vpn_private_address VARCHAR(39), dhcp_start VARCHAR(39),
    project_id VARCHAR(255), host VARCHAR(255), cidr_v6 VARCHAR(43), gateway_v6 VARCHAR(39),
    label VARCHAR(255), netmask_v6 VARCHAR(39), bridge_interface VARCHAR(255), multi_host BOOLEAN,
    dns2 VARCHAR(39), uuid VARCHAR(36), priority INTEGER, rxtx_base INTEGER, deleted INTEGER,
    mtu INTEGER, dhcp_server VARCHAR(39), enable_dhcp BOOLEAN, share_address BOOLEAN,
    CONSTRAINT uniq_networks0vlan0deleted UNIQUE (vlan, deleted)
);
CREATE INDEX networks_bridge_deleted_idx ON networks (bridge, deleted);
CREATE INDEX networks_host_idx ON networks (host);
CREATE INDEX networks_project_id_deleted_idx ON networks (project_id, deleted);
CREATE INDEX networks_uuid_project_id_deleted_idx ON networks (uuid, project_id, deleted);
CREATE INDEX networks_vlan_deleted_idx ON networks (vlan, deleted);
CREATE INDEX networks_cidr_v6_idx ON networks (cidr_v6);
CREATE TABLE instances (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    internal_id INTEGER, user_id VARCHAR(255), project_id VARCHAR(255), image_ref VARCHAR(255),
    kernel_id VARCHAR(255), ramdisk_id VARCHAR(255), launch_index INTEGER, key_name VARCHAR(255),
    key_data TEXT, power_state INTEGER, vm_state VARCHAR(255), memory_mb INTEGER, vcpus INTEGER,
    hostname VARCHAR(255), host VARCHAR(255), user_data TEXT, reservation_id VARCHAR(255),
    launched_at DATETIME, terminated_at DATETIME, display_name VARCHAR(255),
    display_description VARCHAR(255), availability_zone VARCHAR(255), locked BOOLEAN,
    os_type VARCHAR(255), launched_on TEXT, instance_type_id INTEGER, vm_mode VARCHAR(255),
    uuid VARCHAR(36) NOT NULL, architecture VARCHAR(255), root_device_name VARCHAR(255),
    access_ip_v4 VARCHAR(39), access_ip_v6 VARCHAR(39), config_drive VARCHAR(255),
    task_state VARCHAR(255), default_ephemeral_device VARCHAR(255), default_swap_device VARCHAR(255),
    progress INTEGER, auto_disk_config BOOLEAN, shutdown_terminate BOOLEAN, disable_terminate BOOLEAN,
    root_gb INTEGER, ephemeral_gb INTEGER, cell_name VARCHAR(255), node VARCHAR(255), deleted INTEGER,
    locked_by VARCHAR(5), cleaned INTEGER, ephemeral_key_uuid VARCHAR(36), hidden BOOLEAN,
    CONSTRAINT uniq_instances0uuid UNIQUE (uuid)
);
CREATE INDEX instances_project_id_idx ON instances (project_id);
CREATE INDEX instances_project_id_deleted_idx ON instances (project_id, deleted);
CREATE INDEX instances_reservation_id_idx ON instances (reservation_id);
CREATE INDEX instances_terminated_at_launched_at_idx ON instances (terminated_at, launched_at);
CREATE INDEX instances_uuid_deleted_idx ON instances (uuid, deleted);
CREATE INDEX instances_task_state_updated_at_idx ON instances (task_state, updated_at);
CREATE INDEX instances_host_node_deleted_idx ON instances (host, node, deleted);
CREATE INDEX instances_host_deleted_cleaned_idx ON instances (host, deleted, cleaned);
CREATE INDEX instances_deleted_created_at_idx ON instances (deleted, created_at);
CREATE TABLE virtual_interfaces (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    address VARCHAR(255), network_id INTEGER, uuid VARCHAR(36), instance_uuid VARCHAR(36),
    tag VARCHAR(255), deleted INTEGER,
    CONSTRAINT uniq_virtual_interfaces0address0deleted UNIQUE (address, deleted),
    FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)
);
CREATE INDEX virtual_interfaces_network_id_idx ON virtual_interfaces (network_id);
CREATE INDEX virtual_interfaces_instance_uuid_fkey ON virtual_interfaces (instance_uuid);
CREATE INDEX virtual_interfaces_uuid_idx ON virtual_interfaces (uuid);
CREATE TABLE fixed_ips (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    address VARCHAR(39), network_id INTEGER, allocated BOOLEAN, leased BOOLEAN, reserved BOOLEAN,
    virtual_interface_id INTEGER, host VARCHAR(255), instance_uuid VARCHAR(36), deleted INTEGER,
    CONSTRAINT uniq_fixed_ips0address0deleted UNIQUE (address, deleted),
    FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)
);
CREATE INDEX fixed_ips_virtual_interface_id_fkey ON fixed_ips (virtual_interface_id);
CREATE INDEX network_id ON fixed_ips (network_id);
CREATE INDEX address ON fixed_ips (address);
CREATE INDEX fixed_ips_instance_uuid_fkey ON fixed_ips (instance_uuid);
CREATE INDEX fixed_ips_host_idx ON fixed_ips (host);
CREATE INDEX fixed_ips_network_id_host_deleted_idx ON fixed_ips (network_id, host, deleted);
CREATE INDEX fixed_ips_address_reserved_network_id_deleted_idx ON fixed_ips (address, reserved, network_id, deleted);
CREATE INDEX fixed_ips_deleted_allocated_idx ON fixed_ips (address, deleted, allocated);
CREATE INDEX fixed_ips_deleted_allocated_updated_at_idx ON fixed_ips (deleted, allocated, updated_at);
CREATE TABLE floating_ips (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    address VARCHAR(39), fixed_ip_id INTEGER, project_id VARCHAR(255), host VARCHAR(255),
    auto_assigned BOOLEAN, pool VARCHAR(255), interface VARCHAR(255), deleted INTEGER,
    CONSTRAINT uniq_floating_ips0address0deleted UNIQUE (address, deleted)
);
CREATE INDEX fixed_ip_id ON floating_ips (fixed_ip_id);
CREATE INDEX floating_ips_host_idx ON floating_ips (host);
CREATE INDEX floating_ips_project_id_idx ON floating_ips (project_id);
CREATE INDEX floating_ips_pool_deleted_fixed_ip_id_project_id_idx
    ON floating_ips (pool, deleted, fixed_ip_id, project_id);
CREATE TABLE instance_info_caches (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    network_info TEXT, instance_uuid VARCHAR(36) NOT NULL, deleted INTEGER,
    CONSTRAINT uniq_instance_info_caches0instance_uuid UNIQUE (instance_uuid),
    FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)
);
CREATE TABLE security_groups (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR(255), description VARCHAR(255), user_id VARCHAR(255), project_id VARCHAR(255),
    deleted INTEGER,
    CONSTRAINT uniq_security_groups0project_id0name0deleted UNIQUE (project_id, name, deleted)
);
CREATE TABLE security_group_rules (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    parent_group_id INTEGER, protocol VARCHAR(255), from_port INTEGER, to_port INTEGER, cidr VARCHAR(43),
    group_id INTEGER, deleted INTEGER,
    FOREIGN KEY (parent_group_id) REFERENCES security_groups (id),
    FOREIGN KEY (group_id) REFERENCES security_groups (id)
);
CREATE TABLE security_group_instance_association (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    security_group_id INTEGER, instance_uuid VARCHAR(36), deleted INTEGER,
    FOREIGN KEY (security_group_id) REFERENCES security_groups (id),
    FOREIGN KEY (instance_uuid) REFERENCES instances (uuid)
);
CREATE INDEX security_group_instance_association_instance_uuid_idx
    ON security_group_instance_association (instance_uuid);
CREATE TABLE services (
    created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY,
    host VARCHAR(255), "binary" VARCHAR(255), topic VARCHAR(255), report_count INTEGER NOT NULL,
    disabled BOOLEAN, deleted INTEGER, disabled_reason VARCHAR(255), last_seen_up DATETIME,
    forced_down BOOLEAN, version INTEGER, uuid VARCHAR(36),
    CONSTRAINT uniq_services0host0binary0deleted UNIQUE (host, "binary", deleted)
);
