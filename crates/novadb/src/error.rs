//! Why the database was not read or changed.

use std::net::Ipv4Addr;

use cloud::{DatabaseError, UrlError};

/// What was refused or failed, and what to do. Nothing was changed where one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The server or the file.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A file could not be made.
    #[error("cannot make the database file {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// There is something in the database already.
    #[error(
        "the database {database} has a table {table} already, and the lab wants an empty one: create another \
         (CREATE DATABASE ...) and name it in the URL"
    )]
    NotEmpty {
        /// The URL, without its password.
        database: String,
        /// The first table that was found.
        table: String,
    },
    /// A row is not what nova writes.
    #[error("the database {database} has a row of {table} that cannot be understood: {why}")]
    Damaged {
        /// The URL, without its password.
        database: String,
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// nova's `NoMoreFixedIps`.
    #[error(
        "No fixed IP addresses available for network: {uuid} ({label}, {cidr}); delete an instance of it first"
    )]
    NoFixedIpLeft {
        /// `networks.uuid`.
        uuid: String,
        /// `networks.label`.
        label: String,
        /// `networks.cidr`.
        cidr: String,
    },
    /// The address is not one of the network's that instances may have.
    #[error("{address} is not in the network {label} ({cidr}), or is reserved there")]
    AddressOutside {
        /// The address.
        address: Ipv4Addr,
        /// The network.
        label: String,
        /// Its prefix.
        cidr: String,
    },
    /// Somebody has the address.
    #[error("{address} is in use; leave the choice to nova, or delete the instance that has it")]
    AddressTaken {
        /// The address.
        address: Ipv4Addr,
    },
    /// There is an instance of that name.
    #[error("there is an instance {name} already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    Unknown {
        /// What kind of thing: instance, network, floating address, security group, rule.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The network is another project's.
    #[error("network {label} is of project {owner}, and the instance of {project}")]
    WrongProject {
        /// The network.
        label: String,
        /// Whose it is.
        owner: String,
        /// Whose the instance is.
        project: String,
    },
    /// The network would lie over another.
    #[error("{cidr} overlaps with the network {label} ({other})")]
    Overlap {
        /// The new prefix.
        cidr: String,
        /// The network that is there.
        label: String,
        /// Its prefix.
        other: String,
    },
    /// A bridge, VLAN, label or group is there already.
    #[error("{what} {name} is there already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The prefix has no room for gateway and instances.
    #[error("{cidr} is too small for a network of instances: take at least a /30")]
    TooSmall {
        /// The prefix.
        cidr: String,
    },
    /// The pool is empty.
    #[error("No more floating IPs available: the pool {pool} has none that is free")]
    PoolEmpty {
        /// The pool.
        pool: String,
    },
    /// The floating address cannot be given, taken or returned as it is.
    #[error("floating address {address} {why}")]
    Floating {
        /// The address.
        address: Ipv4Addr,
        /// What it is, and what to do first.
        why: String,
    },
    /// Another writer was there first.
    #[error("the row of {what} was changed by another while we looked at it; try again")]
    Moved {
        /// What it was.
        what: String,
    },
}
