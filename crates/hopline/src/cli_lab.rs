//! What was typed after `hopline lab`: docs/contract.md, word for word.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ipnet::Ipv4Net;

/// Which lab is meant, and what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct LabArgs {
    #[command(flatten)]
    pub(crate) lab: LabName,
    #[command(subcommand)]
    pub(crate) command: LabCommand,
}

/// Which lab is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct LabName {
    /// Name of the lab; several may stand side by side
    #[arg(long, global = true, value_name = "LAB", default_value = "lab")]
    pub(crate) name: String,
    /// State directory [default: $XDG_RUNTIME_DIR/hopline/LAB or /run/hopline/LAB]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum LabCommand {
    /// Build the lab and wait until its instances have their addresses
    Up(UpArgs),
    /// Remove the lab, whole or half built
    Down,
    /// Tell what there is of the lab, and which faults are in
    Status,
    /// Print names and addresses of the lab as shell assignments
    Env,
    /// List the faults that can be injected
    Faults,
    /// Inject a fault
    Break {
        /// The fault, from `lab faults`
        #[arg(value_name = "ID")]
        fault: String,
    },
    /// Take a fault out again, or all of them
    Heal {
        /// The fault; without one, all that are in
        #[arg(value_name = "ID")]
        fault: Option<String>,
    },
    #[command(flatten)]
    Cloud(CloudCommand),
    /// Keeps the namespaces of an ordinary user's lab; `lab up` starts it
    #[command(hide = true)]
    Hold,
    /// What the lab's dnsmasq calls, as nova's dnsmasq calls nova-dhcpbridge
    #[command(hide = true)]
    Dhcpbridge {
        #[arg(long, value_name = "HOST")]
        host: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What the cloud's users and operators do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum CloudCommand {
    /// Restart a service: what its restart did in nova, no more and no less
    Restart {
        /// The service
        service: Service,
        /// The host; for dnsmasq, the network's label. Without it: all
        #[arg(value_name = "HOST|NETWORK")]
        which: Option<String>,
    },
    /// Let every service do what the database asks for and it has not done yet
    Reconcile,
    /// Boot an instance and wait until it has its address
    Boot {
        /// Its host name
        instance: String,
        /// Compute host [default: the one with the fewest instances]
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// Label of its network [default: the first]
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,
        /// Its fixed address [default: the next that is free]
        #[arg(long, value_name = "IP")]
        address: Option<Ipv4Addr>,
        /// Security group, may be given several times [default: default]
        #[arg(long = "secgroup", value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Terminate an instance
    Delete {
        /// Its host name
        instance: String,
        /// Leave behind what a badly ended instance left: its row is marked as deleted, and nothing else is
        /// cleaned up
        #[arg(long)]
        unclean: bool,
    },
    /// Switch an instance off; it keeps its addresses
    Stop {
        /// Its host name
        instance: String,
    },
    /// Switch an instance on and wait until it has its address
    Start {
        /// Its host name
        instance: String,
    },
    /// Print the end of an instance's console log
    Console {
        /// Its host name
        instance: String,
    },
    /// Floating addresses: out of the pool, onto an instance, and back
    #[command(subcommand)]
    Floating(FloatingCommand),
    /// Security groups and their rules
    #[command(subcommand)]
    Secgroup(SecgroupCommand),
    /// Networks of instances
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Show what the cloud's database says: networks, instances, floating addresses
    Show,
}

/// What kind of cloud to build.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct UpArgs {
    /// One network for all, or a VLAN for each project
    #[arg(long, value_name = "MANAGER", default_value = "flat-dhcp")]
    pub(crate) manager: ManagerName,
    /// Compute hosts, 1 to 16
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) hosts: u8,
    /// One network host is gateway, DHCP and metadata server of all instances, not each compute host of its own
    #[arg(long)]
    pub(crate) no_multi_host: bool,
    /// Every host carries the same gateway address (nova's share_dhcp_address)
    #[arg(long)]
    pub(crate) share_address: bool,
    /// What an instance is: a network namespace, or a virtual machine under QEMU
    #[arg(long, value_name = "KIND", default_value = "netns")]
    pub(crate) guest: GuestName,
    /// Instances to begin with [default: two, and one more for each further host]
    #[arg(long, value_name = "N")]
    pub(crate) instances: Option<u16>,
    /// URL of an empty database on a server: mysql://USER:PASSWORD@HOST/NAME, postgresql://... [default: a SQLite
    /// file of the lab's own]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManagerName {
    FlatDhcp,
    Vlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GuestName {
    Netns,
    Qemu,
}

/// What can be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Bridges, dnsmasq, floating addresses, NAT
    NovaNetwork,
    /// Security groups, instances
    NovaCompute,
    /// The metadata service's rules
    NovaApiMetadata,
    /// A network's dnsmasq: ended, and started anew
    Dnsmasq,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum FloatingCommand {
    /// Take an address out of the pool
    Allocate,
    /// Put an address on an instance
    Associate {
        /// The floating address
        address: Ipv4Addr,
        /// The instance's host name
        instance: String,
    },
    /// Take an address off its instance
    Disassociate {
        /// The floating address
        address: Ipv4Addr,
    },
    /// Put an address back into the pool
    Release {
        /// The floating address
        address: Ipv4Addr,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum SecgroupCommand {
    /// Make a group, which lets nothing in
    Create {
        /// Its name
        group: String,
    },
    /// Rules: what a group lets in
    #[command(subcommand)]
    Rule(RuleCommand),
    /// List the groups with their rules
    List,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum RuleCommand {
    /// Let something in
    Add {
        /// The group's name
        group: String,
        /// tcp, udp or icmp; any for every protocol
        #[arg(value_name = "PROTOCOL", value_parser = ["tcp", "udp", "icmp", "any"])]
        protocol: String,
        /// Ports, 22 or 8000:8010; for icmp type:code; -1 for all
        #[arg(value_name = "PORTS", default_value = "-1", allow_hyphen_values = true, value_parser = ports)]
        ports: (i32, i32),
        /// From these addresses [default: any]
        #[arg(long, value_name = "CIDR", conflicts_with = "group_of")]
        cidr: Option<Ipv4Net>,
        /// From the members of this group
        #[arg(long = "from-group", value_name = "GROUP", id = "group_of")]
        from_group: Option<String>,
    },
    /// Take a rule out
    Del {
        /// Its number, from `secgroup list`
        rule: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Make a network
    Create {
        /// Its label
        label: String,
        /// Its prefix
        cidr: Ipv4Net,
        /// The project that it belongs to (VLAN manager)
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
    },
    /// List the networks
    List,
}

/// `22`, `8000:8010`, `8:0`, `-1`.
fn ports(text: &str) -> Result<(i32, i32), String> {
    let number = |text: &str| -> Result<i32, String> {
        let number: i32 = text.parse().map_err(|_| "expected a port, two (8000:8010), or -1".to_owned())?;
        if (-1..=65_535).contains(&number) { Ok(number) } else { Err("ports go up to 65535".to_owned()) }
    };
    match text.split_once(':') {
        Some((first, last)) => Ok((number(first)?, number(last)?)),
        None => number(text).map(|port| (port, port)),
    }
}
