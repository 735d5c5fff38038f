//! The kernel's tables of neighbours (`RTM_GETNEIGHTBL`), which tell of the whole machine in any of its namespaces,
//! where /proc has their limits in the first one alone (`net/core/neighbour.c neightbl_fill_info`,
//! `neigh_sysctl_register`).

use model::route::NeighbourTable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour_table::{NeighbourTableAttribute as Attribute, NeighbourTableMessage};

use super::{NetlinkError, Socket};

/// Every table.
pub(crate) fn read(socket: &mut Socket) -> Result<Vec<NeighbourTable>, NetlinkError> {
    let wanted = RouteNetlinkMessage::GetNeighbourTable(NeighbourTableMessage::default());
    let tables = socket.dump(wanted)?.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewNeighbourTable(message) => table(message),
        _ => None,
    });
    Ok(tables.collect())
}

/// `None` for what tells of one link's parameters: those messages have no limit.
fn table(message: NeighbourTableMessage) -> Option<NeighbourTable> {
    let mut table = NeighbourTable::default();
    let mut is_whole = false;
    for attribute in message.attributes {
        match attribute {
            Attribute::Name(name) => table.name = name,
            Attribute::Threshold3(entries_max) => (table.entries_max, is_whole) = (entries_max, true),
            Attribute::Config(config) => table.entries = config.entries,
            Attribute::Stats(stats) => table.refused = stats.table_fulls,
            _ => {}
        }
    }
    is_whole.then_some(table)
}
