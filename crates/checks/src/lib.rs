//! The catalogue of findings, and the diagnosis that ranks them.
//!
//! One file a finding under [`catalogue`]; its doc comment is the page that `hopline explain CODE`
//! prints. [`diagnose`](diagnose::diagnose) walks the ladder of questions that an operator would
//! ask, lets every check look at the walks and the facts, mends what was found in the model, and
//! walks again, so that the fault behind the first one is found too.
//!
//! Pure: facts in, findings out.

mod addressless;
mod backends;
pub mod catalogue;
mod chance;
mod contradiction;
mod crowded;
mod dhcp_hosts;
mod dhcp_ignored;
mod dhcp_listeners;
mod dhcp_offer;
mod dhcp_options;
mod dhcp_put_right;
mod dhcp_refused;
mod dhcp_rules;
mod dhcp_server;
mod dhcp_stranger;
mod dhcp_told;
mod dhcp_unheard;
mod diagnose;
mod dns;
mod drift;
mod drop_reasons;
mod dropped;
mod edited;
mod evidence;
mod explained;
mod flat_interface;
mod floats;
mod foreign_rules;
mod found;
mod frames;
mod gateway_entry;
mod greeting;
mod half_recorded;
mod ipv6;
mod ipv6_names;
mod ladder;
mod lasting;
mod leases_unknown;
mod led_out;
mod left_as;
mod limited;
mod looked_up;
mod meant_holder;
mod mend;
mod metadata;
mod near_only;
mod neighbours;
pub mod next;
mod next_hop_entry;
mod nova;
mod offered_dns;
mod one_way;
mod overlays;
mod own_names;
mod own_v6;
mod own_will;
mod owner;
mod port_flags;
mod power;
mod protocols;
mod proved;
mod purpose;
mod queues;
mod ranking;
mod recorded_wrong;
mod refused;
mod removal;
mod restart;
mod rounds;
mod rules;
mod said;
mod scope;
mod seen_way;
mod servers_behind;
mod settling;
mod sg_missing;
mod share;
mod sides;
mod size;
mod source_bent;
mod sql;
mod stations;
mod steps;
mod traced;
mod unasked_servers;
mod unheld;
mod uplinks;
mod view;
mod vlans;
mod watched;
mod way_out;

#[cfg(test)]
mod fixture;

pub use catalogue::{CATALOGUE, Check, explain};
pub use crowded::goes_round;
pub use dhcp_listeners::others_listening;
pub use diagnose::{Case, Request, climb, diagnose, diagnose_only};
pub use dns::own_name;
pub use floats::{has_dnat, has_snat};
pub use ipv6::{as_neighbour as neighbour_over_v6, met as met_over_v6};
pub use ladder::{OverTcp, Purpose, Rung, Symptom};
pub use neighbours::{Neighbour, asked as neighbours};
pub use next_hop_entry::{NextHop, of as next_hop};
pub use one_way::path;
pub use own_v6::addresses as addresses_v6;
pub use power::runs;
pub use protocols::Service;
pub use queues::is_narrow;
pub use said::told;
pub use scope::Subject;
pub use sim::{Endpoint, Protocol, TRACE_OCTETS};
pub use size::AS_INSTANCE_OCTETS_MAX;
pub use traced::{is_traced, leaves_by};
pub use vlans::vlan_device;
pub use watched::shows;
pub use way_out::{is_of_nobody, stand_in, stranger};
