//! What DHCP servers say to a DISCOVER sent as an instance: what is kept of it, however much comes.

use model::dhcp::{HeardReply, UnreadableReply};

use crate::dhcp::{self, Client, Framed};

/// Two servers are one too many; whoever sends more floods.
pub(super) const ANSWERS_MAX: usize = 8;

/// Each server's first word, and what no client could read.
#[derive(Debug, Default)]
pub(super) struct Heard {
    offers: Vec<HeardReply>,
    unreadable: Vec<UnreadableReply>,
    /// How many more came than are kept, and from whom the last: its reason is said in the end.
    beyond: Option<(UnreadableReply, u32)>,
}

impl Heard {
    /// Takes a frame for a server's word to this client, and says whether it is one. Of one server what is said the
    /// same way is heard once; a reply that no client could read answers nothing and is kept for the report.
    pub(super) fn note(&mut self, bytes: &[u8], client: &Client) -> bool {
        let Some(framed) = dhcp::framed(bytes) else { return false };
        match dhcp::read(framed.payload, client) {
            Ok(reply) => {
                let is_known = self.offers.iter().any(|known| {
                    (known.from, known.from_mac, &known.reply) == (framed.from, framed.from_mac, &reply)
                });
                if !is_known && self.offers.len() < ANSWERS_MAX {
                    let (from, from_mac, checksum) = (framed.from, framed.from_mac, framed.checksum);
                    self.offers.push(HeardReply { reply, from, from_mac, checksum });
                } else if !is_known {
                    self.pass_over(&framed);
                }
                true
            }
            Err(problem) => {
                if !problem.is_for_another() {
                    if self.unreadable.len() < ANSWERS_MAX {
                        self.unreadable.push(unreadable(&framed, problem.to_string()));
                    } else {
                        self.pass_over(&framed);
                    }
                }
                false
            }
        }
    }

    fn pass_over(&mut self, framed: &Framed) {
        let count = self.beyond.as_ref().map_or(0, |(_, count)| *count);
        self.beyond = Some((unreadable(framed, String::new()), count.saturating_add(1)));
    }

    /// The offers, and what could not be read; in the end how much more there was.
    pub(super) fn told(self) -> (Vec<HeardReply>, Vec<UnreadableReply>) {
        let Heard { offers, mut unreadable, beyond } = self;
        unreadable.extend(beyond.map(|(last, count)| UnreadableReply {
            why: format!("{count} more answers came than are looked at"),
            ..last
        }));
        (offers, unreadable)
    }
}

fn unreadable(framed: &Framed, why: String) -> UnreadableReply {
    UnreadableReply { from: framed.from, from_mac: framed.from_mac, why }
}
