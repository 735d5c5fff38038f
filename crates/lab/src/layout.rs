//! Who is where: the lab's addresses, links and instances. Everything else is derived from these.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::Mac;

/// The network host of a lab that is not multi-host.
pub const NETWORK_HOST: &str = "network1";
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
/// What an instance prints, in a file of its directory.
pub const CONSOLE_LOG: &str = "console.log";
/// What every link of the lab takes, in octets.
pub const ETHERNET_MTU: u32 = 1500;
/// What a link takes that was made too small.
pub const SMALL_MTU: u32 = 1400;
/// The switch's bridge for the public network.
pub const PUBLIC_SWITCH: &str = "pub0";
/// The switch's bridge for the flat network.
pub const FLAT_SWITCH: &str = "flat0";

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

/// The public network.
pub const PUBLIC_NETWORK: Ipv4Net = net([203, 0, 113, 0], 24);
/// The nearest router on the public network.
pub const PUBLIC_GATEWAY: Ipv4Net = net([203, 0, 113, 1], 24);

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
/// The project of web1, and the one that it is kept apart from under VlanManager.
pub const PROJECTS: [&str; 2] = ["6a1fbf0e6f9d4b0c8ad5c1f2a3c3d6e1", "b7c2d41e90a34f5c8d6e1f2a3b4c5d6e"];
/// First VLAN (`vlan_start`).
pub const VLAN_START: u16 = 100;
/// The pool of floating addresses, the first being web1's: its first and last.
pub const FLOATING_POOL: [Ipv4Addr; 2] = [WEB1_FLOATING, Ipv4Addr::new(203, 0, 113, 33)];
/// Further floating addresses, for larger labs: first and last.
pub const FLOATING_MORE: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 100), Ipv4Addr::new(203, 0, 113, 199)];
/// Zone that the external server is authoritative for.
pub const ZONE: &str = "openstack.test";

/// MAC of libvirt's bridge.
pub const LIBVIRT_MAC: Mac = Mac([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);

/// A host of the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in nova's tables and in the site file, and its namespace's after the lab's.
    pub name: String,
    /// Its number, from 1 on, which its addresses follow from.
    pub number: u8,
}

impl Host {
    /// The compute host of this number.
    pub fn compute(number: u8) -> Host {
        Host { name: format!("compute{number}"), number }
    }

    /// Its address on the public network.
    pub fn public(&self) -> Ipv4Net {
        let [a, b, c, _] = PUBLIC_NETWORK.network().octets();
        Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 33 + self.number), PUBLIC_NETWORK.prefix_len())
    }

    /// Its own address on the flat network in multi-host mode: its instances' gateway and DHCP server.
    pub fn flat_gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, 41 + self.number)
    }

    /// MAC of its uplink.
    pub fn uplink_mac(&self) -> Mac {
        Mac([0x52, 0x54, 0x00, 0x1d, 0x00, 2 * (self.number - 1)])
    }

    /// MAC of its link to the instances' network, which nova gives to the bridge too.
    pub fn flat_mac(&self) -> Mac {
        Mac([0x52, 0x54, 0x00, 0x1d, 0x00, 2 * (self.number - 1) + 1])
    }

    /// Port of the switch that its uplink is plugged into.
    pub fn uplink_port(&self) -> String {
        format!("pubh{}", self.number)
    }

    /// Port of the switch that its link to the instances' network is plugged into.
    pub fn flat_port(&self) -> String {
        format!("flath{}", self.number)
    }
}

/// An instance that every lab begins with.
#[derive(Debug, Clone, Copy)]
pub struct FirstInstance {
    /// `instances.uuid`.
    pub uuid: &'static str,
    /// `virtual_interfaces.uuid`.
    pub vif_uuid: &'static str,
    /// Hostname.
    pub name: &'static str,
    /// MAC of its NIC.
    pub mac: Mac,
    /// Fixed address on the flat network.
    pub fixed: Ipv4Addr,
}

/// The instance that faults act on, and its neighbour.
pub const FIRST_INSTANCES: [FirstInstance; 2] = [
    FirstInstance {
        uuid: "8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01",
        vif_uuid: "b1c3e0d2-76a4-4f0e-8f5d-0a52c7e41a01",
        name: WEB1,
        mac: Mac([0xfa, 0x16, 0x3e, 0x00, 0x02, 0x24]),
        fixed: Ipv4Addr::new(10, 0, 2, 24),
    },
    FirstInstance {
        uuid: "8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e02",
        vif_uuid: "b1c3e0d2-76a4-4f0e-8f5d-0a52c7e41a02",
        name: WEB2,
        mac: Mac([0xfa, 0x16, 0x3e, 0x00, 0x02, 0x25]),
        fixed: Ipv4Addr::new(10, 0, 2, 25),
    },
];

/// The instance that faults act on.
pub const WEB1: &str = "web1";
/// The name of the other.
pub const WEB2: &str = "web2";
/// Its floating address.
pub const WEB1_FLOATING: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 30);

/// What follows the lab's name in the names of the namespaces that are no hosts of the cloud.
pub mod place {
    /// The switch: the physical network.
    pub const FABRIC: &str = "fab";
    /// The router nearest the hosts.
    pub const GATEWAY: &str = "gw";
    /// The second router.
    pub const ISP: &str = "isp";
    /// The external server.
    pub const EXTERNAL: &str = "ext";
    /// All of them.
    pub const ALL: [&str; 4] = [FABRIC, GATEWAY, ISP, EXTERNAL];
}

const fn net(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}
