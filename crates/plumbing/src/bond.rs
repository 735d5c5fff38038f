//! Bonds (`ip link add NAME type bond`).

use model::Mac;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BondMode, BondPortState, InfoBond, InfoBondPort, InfoData, InfoKind, InfoPortData, LinkAttribute,
    LinkInfo,
};

use crate::link;
use crate::{Namespace, PlumbingError};

/// How often a bond looks whether its slaves have a carrier, in milliseconds, as 802.3ad must.
const LOOKS_MS: u32 = 100;

/// A bond in mode 802.3ad with this MAC, down. Links become its slaves by [`link::enslave`], down as they are; it sets
/// them up.
pub fn create_lacp(ns: &mut Namespace, name: &str, mac: Mac) -> Result<(), PlumbingError> {
    let mut message = link::named(name);
    message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Bond),
        LinkInfo::Data(InfoData::Bond(vec![
            InfoBond::Mode(BondMode::Ieee8023Ad),
            InfoBond::MiiMon(LOOKS_MS),
        ])),
    ]));
    ns.make(format!("make the bond {name}"), RouteNetlinkMessage::NewLink(message))
}

/// Whether a bond sends by this slave: of 802.3ad only after LACP has had its say, or has waited in vain.
pub fn is_active(ns: &mut Namespace, slave: &str) -> Result<bool, PlumbingError> {
    let name = LinkAttribute::IfName(slave.to_owned());
    let found = link::all(ns)?.into_iter().find(|message| message.attributes.contains(&name));
    let told = found.into_iter().flat_map(|message| message.attributes).any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().any(|info| match info {
            LinkInfo::PortData(InfoPortData::BondPort(told)) => {
                told.contains(&InfoBondPort::BondPortState(BondPortState::Active))
            }
            _ => false,
        }),
        _ => false,
    });
    Ok(told)
}
