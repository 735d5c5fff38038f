//! Who is where: the lab's addresses, links and instances. Everything else is derived from these.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::Mac;

/// The host's name in nova's tables and in the site file.
pub const COMPUTE: &str = "compute1";
/// Link to the public network (`public_interface`).
pub const UPLINK: &str = "eth0";
/// Link to the instances' flat network (`flat_interface`).
pub const FLAT_LINK: &str = "eth1";
/// The instances' bridge (`flat_network_bridge`).
pub const BRIDGE: &str = "br100";
/// libvirt's default network, idle as on most compute hosts.
pub const LIBVIRT_BRIDGE: &str = "virbr0";
/// An instance's NIC, seen from inside it.
pub const GUEST_NIC: &str = "eth0";
/// The switch's bridge for the public network.
pub const PUBLIC_SWITCH: &str = "pub0";
/// The switch's bridge for the flat network.
pub const FLAT_SWITCH: &str = "flat0";
/// Port of the switch that the compute host's uplink is plugged into.
pub const UPLINK_SWITCH_PORT: &str = "pubh1";
/// Port of the switch that the compute host's flat link is plugged into.
pub const FLAT_SWITCH_PORT: &str = "flath1";
/// Port of the switch that the nearest router is plugged into.
pub const GATEWAY_SWITCH_PORT: &str = "pubgw";

/// The instances' network.
pub const NETWORK: Ipv4Net = net([10, 0, 0, 0], 16);
/// nova's label of it.
pub const NETWORK_LABEL: &str = "novanetwork";
/// `networks.gateway`; in multi-host mode no host carries it.
pub const NETWORK_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// First address that instances may get.
pub const DHCP_START: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// compute1's own address on the bridge: its instances' gateway and DHCP server.
pub const BRIDGE_ADDRESS: Ipv4Net = net([10, 0, 0, 42], 16);
/// compute1 on the public network.
pub const HOST_PUBLIC: Ipv4Net = net([203, 0, 113, 34], 24);
/// The public network.
pub const PUBLIC_NETWORK: Ipv4Net = net([203, 0, 113, 0], 24);
/// The nearest router on the public network.
pub const PUBLIC_GATEWAY: Ipv4Net = net([203, 0, 113, 1], 24);
/// Floating addresses of the pool that nobody has.
pub const FREE_FLOATING: [Ipv4Addr; 3] =
    [Ipv4Addr::new(203, 0, 113, 31), Ipv4Addr::new(203, 0, 113, 32), Ipv4Addr::new(203, 0, 113, 33)];
/// The nearest router towards the second.
pub const GATEWAY_OUTER: Ipv4Net = net([198, 51, 100, 1], 30);
/// The second router towards the nearest.
pub const ISP_INNER: Ipv4Net = net([198, 51, 100, 2], 30);
/// The second router towards the external server.
pub const ISP_OUTER: Ipv4Net = net([1, 2, 3, 1], 24);
/// The external server.
pub const EXTERNAL: Ipv4Net = net([1, 2, 3, 4], 24);
/// libvirt's address on its bridge.
pub const LIBVIRT_ADDRESS: Ipv4Net = net([192, 168, 122, 1], 24);
/// Where instances look for metadata.
pub const METADATA: Ipv4Net = net([169, 254, 169, 254], 32);
/// Where nova-api-metadata listens (`metadata_port`).
pub const METADATA_PORT: u16 = 8775;
/// Domain of the instances (`dhcp_domain`).
pub const DHCP_DOMAIN: &str = "novalocal";
/// Zone that the external server is authoritative for.
pub const ZONE: &str = "openstack.test";
/// Project that owns everything.
pub const PROJECT: &str = "6a1fbf0e6f9d4b0c8ad5c1f2a3c3d6e1";
/// uuid of the network.
pub const NETWORK_UUID: &str = "0d6a1ae1-4a35-4d8f-9d3c-6c2f0c3a7e10";

/// MAC of the flat link, which nova gives to the bridge too.
pub const FLAT_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x1d, 0x00, 0x01]);
/// MAC of the uplink.
pub const UPLINK_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x1d, 0x00, 0x00]);
/// MAC of libvirt's bridge.
pub const LIBVIRT_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// An instance, as nova knows it.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    /// `instances.id`.
    pub id: u32,
    /// `instances.uuid`.
    pub uuid: &'static str,
    /// `virtual_interfaces.uuid`.
    pub vif_uuid: &'static str,
    /// Hostname.
    pub name: &'static str,
    /// MAC of its NIC.
    pub mac: Mac,
    /// Fixed address.
    pub fixed: Ipv4Addr,
    /// Floating address, where it has one.
    pub floating: Option<Ipv4Addr>,
    /// The host's end of its NIC.
    pub tap: &'static str,
    /// Its place in the lab.
    pub place: Place,
}

impl Instance {
    /// libvirt's name for it (`instance_name_template`, hexadecimal).
    pub fn libvirt_name(&self) -> String {
        format!("instance-{:08x}", self.id)
    }

    /// Its fixed address with the network's prefix length.
    pub fn fixed_net(&self) -> Ipv4Net {
        Ipv4Net::new_assert(self.fixed, NETWORK.prefix_len())
    }

    /// The tap wears the instance's MAC with `fe` in front (libvirt `virnetdevtap.c`).
    pub fn tap_mac(&self) -> Mac {
        let mut octets = self.mac.0;
        octets[0] = 0xfe;
        Mac(octets)
    }
}

/// The instance that faults act on.
pub const WEB1: Instance = Instance {
    id: 1,
    uuid: "8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01",
    vif_uuid: "b1c3e0d2-76a4-4f0e-8f5d-0a52c7e41a01",
    name: "web1",
    mac: Mac([0xfa, 0x16, 0x3e, 0x00, 0x02, 0x24]),
    fixed: Ipv4Addr::new(10, 0, 2, 24),
    floating: Some(Ipv4Addr::new(203, 0, 113, 30)),
    tap: "vnet0",
    place: Place::Web1,
};

/// Its neighbour, without a floating address.
pub const WEB2: Instance = Instance {
    id: 2,
    uuid: "8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e02",
    vif_uuid: "b1c3e0d2-76a4-4f0e-8f5d-0a52c7e41a02",
    name: "web2",
    mac: Mac([0xfa, 0x16, 0x3e, 0x00, 0x02, 0x25]),
    fixed: Ipv4Addr::new(10, 0, 2, 25),
    floating: None,
    tap: "vnet1",
    place: Place::Web2,
};

/// Every instance.
pub const INSTANCES: [Instance; 2] = [WEB1, WEB2];

/// A namespace of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The compute host.
    Compute,
    /// The switch: the physical network.
    Fabric,
    /// The router nearest the compute host.
    Gateway,
    /// The second router.
    Isp,
    /// The external server.
    External,
    /// Instance web1.
    Web1,
    /// Instance web2.
    Web2,
}

impl Place {
    /// Every place.
    pub const ALL: [Place; 7] = [
        Place::Compute,
        Place::Fabric,
        Place::Gateway,
        Place::Isp,
        Place::External,
        Place::Web1,
        Place::Web2,
    ];

    /// What follows the lab's name in the namespace's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Place::Compute => "compute1",
            Place::Fabric => "fab",
            Place::Gateway => "gw",
            Place::Isp => "isp",
            Place::External => "ext",
            Place::Web1 => "web1",
            Place::Web2 => "web2",
        }
    }
}

const fn net(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}
