//! A diagnosis or what a correlation has found, as terminal text, one-line text, JSON, HTML or SVG, into any `Write`.
//!
//! Pure: the same diagnosis and style give the same bytes. Whatever comes from outside (names of
//! links, instances and hosts, rules, log lines) passes through [`clean`] before it is printed, so
//! no name can move the cursor, change colours or reorder the line it stands in.

mod arrows;
mod clean;
mod counts;
mod escape;
mod finding;
mod html;
mod journeys;
mod json;
mod listing;
mod minimal;
mod page;
mod picture;
mod records;
mod seen_way;
mod sheet;
mod strip;
mod style;
mod terminal;
mod tree;

pub use clean::clean;
pub use counts::{Watched, counts};
pub use html::{Recorded, html};
pub use journeys::{
    Captured, Copied, Journeys, Layout, Note, PACKET_CATALOGUE, PacketAt, PacketFinding, Sequence,
    Unreadable, journey_fitting, journey_line, journey_text, stamp,
};
pub use json::{SCHEMA, json};
pub use listing::listing;
pub use minimal::minimal;
pub use picture::svg;
pub use records::records;
pub use sheet::{Has, Line, OnHost, Sheet, sheet};
pub use style::Style;
pub use terminal::{path_report, terminal};
