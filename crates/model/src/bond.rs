//! Bonds: several links as one (`IFLA_BOND_*`, `IFLA_BOND_SLAVE_*`; Documentation/networking/bonding.rst).

use serde::{Deserialize, Serialize};

use crate::Mac;

/// A bonding master's settings, and what it has agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bond {
    /// How it spreads what it sends.
    pub mode: BondMode,
    /// Aggregator that is in use (`ad_aggregator`); 802.3ad only.
    pub aggregator: Option<u16>,
    /// Who is at the other end of it by LACP, all zeros where nobody answers; 802.3ad only.
    pub partner: Option<Mac>,
}

/// How a bond spreads what it sends (`mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BondMode {
    /// `balance-rr`: packet by packet.
    #[default]
    BalanceRr,
    /// `active-backup`: all by one slave.
    ActiveBackup,
    /// `balance-xor`: by a hash of the addresses.
    BalanceXor,
    /// `broadcast`: by every slave.
    Broadcast,
    /// `802.3ad`: by a hash, over the slaves of one aggregator, which LACP agrees with the switch.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// `balance-tlb`: by load.
    BalanceTlb,
    /// `balance-alb`: by load, and ARP tells each peer another slave's address.
    BalanceAlb,
    /// A mode that came later, by its number.
    Other(u8),
}

impl BondMode {
    /// As ip-link(8) prints it.
    pub fn name(self) -> &'static str {
        match self {
            BondMode::BalanceRr => "balance-rr",
            BondMode::ActiveBackup => "active-backup",
            BondMode::BalanceXor => "balance-xor",
            BondMode::Broadcast => "broadcast",
            BondMode::Lacp => "802.3ad",
            BondMode::BalanceTlb => "balance-tlb",
            BondMode::BalanceAlb => "balance-alb",
            BondMode::Other(_) => "another",
        }
    }
}

/// A link's part in the bond that is its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BondSlave {
    /// The bond takes its link for up (`mii_status`).
    pub is_up: bool,
    /// It sends and receives (`state` ACTIVE): a backup's frames are thrown away (`bond_should_deliver_exact_match`).
    pub is_active: bool,
    /// Aggregator that it is in (`ad_aggregator_id`); 802.3ad only.
    pub aggregator: Option<u16>,
}
