//! `brctl show` of bridge-utils: bridges and the ports on them.

use crate::{Parsed, Problem};

/// One bridge of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrctlBridge {
    /// Device name of the bridge.
    pub name: String,
    /// `PRIORITY.MAC` in hex, as printed: `8000.5254000c1f4b`.
    pub id: String,
    /// Spanning tree is on.
    pub stp: bool,
    /// Device names of its ports.
    pub ports: Vec<String>,
}

/// Reads a whole listing: a heading, a line for each bridge with its first port, and an indented
/// line for each further port.
pub fn parse(text: &str) -> Parsed<Vec<BrctlBridge>> {
    let mut out = Parsed::<Vec<BrctlBridge>>::default();
    let mut in_bridge = false;
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_indented = line.starts_with(char::is_whitespace);
        match (words.as_slice(), out.value.last_mut()) {
            ([] | ["bridge", "name", ..], _) => {}
            ([port], Some(bridge)) if is_indented && in_bridge => bridge.ports.push((*port).to_owned()),
            ([name, id, stp @ ("yes" | "no"), ports @ ..], _) if !is_indented && ports.len() <= 1 => {
                out.value.push(BrctlBridge {
                    name: (*name).to_owned(),
                    id: (*id).to_owned(),
                    stp: *stp == "yes",
                    ports: ports.iter().map(|port| (*port).to_owned()).collect(),
                });
                in_bridge = true;
            }
            _ => {
                let what = "expected a bridge as `brctl show` prints it: `NAME ID yes|no [PORT]`";
                out.problems.push(Problem::at(index, line, line.trim_start(), what));
                in_bridge = false;
            }
        }
    }
    out
}
