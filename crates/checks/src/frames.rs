//! Whom the frames of a question's packets were for, as they were seen at a device: who sends a frame to a wrong
//! station has that station's MAC for the next hop, whether his neighbours can be read or not.

use model::Netns;
use model::finding::{Evidence, EvidenceKind};
use model::path::Exchange;
use model::probe::{FrameSeen, ProbeSeen};

use crate::evidence;
use crate::ladder::Rung;
use crate::view::View;
use crate::watched;

/// Frames of a question and of the answers to it at a device of a namespace, each kind once; those of others' captures
/// tell nothing of them.
pub(crate) fn at<'v>(
    view: &View<'v>,
    (ns, device): (&Netns, &str),
    rung: &Rung,
) -> impl Iterator<Item = &'v FrameSeen> {
    let is_here = move |machine: &str, netns: &str, at: &str| {
        (machine, netns, at) == (ns.machine.as_str(), ns.name.as_str(), device)
    };
    let watches = view.watches.iter();
    let here = watches.filter(move |w| !w.is_recorded && is_here(&w.machine, &w.netns, &w.device));
    let is_of = |seen: &&ProbeSeen| {
        let mut asked = rung.answer.paths.iter().map(|path| rung.purpose.exchange_of(path.exchange));
        let is_asked = asked.any(|exchange| exchange == seen.exchange && exchange != Exchange::Arp);
        is_asked && watched::is_of(seen, rung, seen.exchange)
    };
    here.flat_map(|watch| &watch.probes).filter(is_of).flat_map(|seen| &seen.frames)
}

/// That such a frame passes a device, and the command that shows it.
pub(crate) fn evidence(ns: &Netns, device: &str, frame: &FrameSeen) -> Evidence {
    let FrameSeen { station, destination, is_answer } = frame;
    let command = format!("tcpdump -eni {device} ether dst {station} and dst host {destination}");
    let what = if *is_answer { "the answer" } else { "the question" };
    let text = format!("{what} to {destination} passes in a frame for {station}");
    evidence::record(EvidenceKind::Capture, evidence::within(ns, &command), text)
}
