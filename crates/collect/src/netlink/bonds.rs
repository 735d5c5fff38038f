//! What a bonding master and its slaves tell of themselves (`drivers/net/bonding/bond_netlink.c bond_fill_info`,
//! `bond_fill_slave_info`).

use model::Mac;
use model::bond::{Bond, BondMode, BondSlave};
use netlink_packet_route::link::{
    BondAdInfo, BondMode as Mode, BondPortState, InfoBond, InfoBondPort, MiiStatus,
};

pub(super) fn bond(settings: &[InfoBond]) -> Bond {
    let mut bond = Bond::default();
    for setting in settings {
        match setting {
            InfoBond::Mode(told) => bond.mode = mode(*told),
            InfoBond::AdInfo(agreed) => {
                for told in agreed {
                    match told {
                        BondAdInfo::Aggregator(id) => bond.aggregator = Some(*id),
                        BondAdInfo::PartnerMac(mac) => bond.partner = Some(Mac(*mac)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    bond
}

fn mode(mode: Mode) -> BondMode {
    match mode {
        Mode::BalanceRr => BondMode::BalanceRr,
        Mode::ActiveBackup => BondMode::ActiveBackup,
        Mode::BalanceXor => BondMode::BalanceXor,
        Mode::Broadcast => BondMode::Broadcast,
        Mode::Ieee8023Ad => BondMode::Lacp,
        Mode::BalanceTlb => BondMode::BalanceTlb,
        Mode::BalanceAlb => BondMode::BalanceAlb,
        other => BondMode::Other(u8::from(other)),
    }
}

pub(super) fn slave(settings: &[InfoBondPort]) -> BondSlave {
    let mut slave = BondSlave::default();
    for setting in settings {
        match setting {
            InfoBondPort::MiiStatus(status) => slave.is_up = *status == MiiStatus::Up,
            InfoBondPort::BondPortState(state) => slave.is_active = *state == BondPortState::Active,
            InfoBondPort::AdAggregatorId(id) => slave.aggregator = Some(*id),
            _ => {}
        }
    }
    slave
}
