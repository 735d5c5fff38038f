//! Queueing disciplines of the host's links, and that filters may be where sos never asks for any.

use std::collections::BTreeMap;

use model::link::Link;
use model::queueing::{QdiscPlace, TcFilter, TcSide};
use model::snapshot::Gap;

use super::files::Files;
use super::{gap, told, unparsed};

const QDISCS: &str = "tc -s qdisc show";

/// Adds them to the links of the host's own namespace; sos asks in no other one. Returns what could not be learned.
pub(super) fn add_to(links: &mut [Link], files: &Files, host: &str) -> Vec<Gap> {
    let lacking = || {
        let what = format!("queueing disciplines of {host}");
        gap(what, "the sosreport does not hold them", QDISCS)
    };
    let Some((path, text)) = files.command(&["tc_-s_qdisc_show"]) else { return vec![lacking()] };
    let parsed = parse::tc_qdisc::parse(text);
    let mut gaps: Vec<Gap> = unparsed(path, &parsed.problems).into_iter().collect();
    if told::nothing(&parsed) {
        gaps.push(lacking());
    }
    let names = links.iter().enumerate().map(|(at, link)| (link.name.clone(), at));
    let places: BTreeMap<String, usize> = names.collect();
    for (name, qdisc) in parsed.value {
        let sides: &[TcSide] = match (qdisc.place, qdisc.kind.as_str()) {
            (QdiscPlace::Filters, "clsact") => &[TcSide::Ingress, TcSide::Egress],
            (QdiscPlace::Filters, _) => &[TcSide::Ingress],
            (QdiscPlace::Root | QdiscPlace::Class(_), _) => &[],
        };
        let Some(link) = places.get(&name).and_then(|at| links.get_mut(*at)) else { continue };
        for side in sides {
            if link.filters.iter().any(|known| known.side == *side) {
                continue;
            }
            let need = format!("tc filter show dev {name} {}", side.word());
            let why =
                format!("sos does not ask for them, and its qdisc {} is there to hold some", qdisc.kind);
            gaps.push(gap(format!("tc filters of {name} of {host}, {}", side.word()), why, need));
            link.filters.push(unread(*side));
        }
        link.qdiscs.push(qdisc);
    }
    for link in links {
        link.qdiscs.sort_by_key(|qdisc| qdisc.place != QdiscPlace::Root);
    }
    gaps
}

/// Stands for filters of which nothing is known: any packet may be dropped there.
fn unread(side: TcSide) -> TcFilter {
    let kind = "filters that were not read".to_owned();
    TcFilter { side, kind, priority: 0, program: None, actions: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::read_folder;
    use super::super::tests::copy_of_sample;

    /// A report in which tc has printed this: the queues and filters of each link that has any, and what is lacking.
    fn told(text: Option<&str>) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let copied = copy_of_sample(folder.path());
        if let Some(text) = text {
            std::fs::write(copied.join("sos_commands/networking/tc_-s_qdisc_show"), text).unwrap();
        }
        let machine = read_folder(&copied, "x").unwrap().members.remove(0).outcome.unwrap();
        let links = machine.netns.links.iter().filter(|link| !link.qdiscs.is_empty());
        let links = links.map(|link| {
            let all: Vec<String> = link.qdiscs.iter().map(|q| format!("{q} {}", q.stats.drops)).collect();
            let sides: Vec<&str> = link.filters.iter().map(|filter| filter.side.word()).collect();
            assert!(
                link.filters.iter().all(model::queueing::TcFilter::decides),
                "nobody knows that none does"
            );
            format!("{}: {} {}", link.name, all.join(", "), sides.join(" ")).trim_end().to_owned()
        });
        let of_tc = machine.gaps.iter().filter(|gap| gap.would_need.starts_with("tc "));
        (links.collect(), of_tc.map(|gap| gap.would_need.clone()).collect())
    }

    #[test]
    fn queues_are_told_and_filters_only_where_none_can_be() {
        let text = "\
qdisc fq_codel 0: dev ens3 root refcnt 2 limit 10240p
 Sent 9 bytes 1 pkt (dropped 7, overlimits 0 requeues 0)
qdisc clsact ffff: dev vnet0 parent ffff:fff1
qdisc noqueue 0: dev vnet0 root
";
        let (links, lacking) = told(Some(text));
        assert_eq!(links, ["ens3: fq_codel 0: 7", "vnet0: noqueue 0: 0, clsact ffff: 0 ingress egress"]);
        assert_eq!(lacking, ["tc filter show dev vnet0 ingress", "tc filter show dev vnet0 egress"]);
        for without in [None, Some("Operation not permitted\n")] {
            assert_eq!(told(without), (Vec::new(), vec!["tc -s qdisc show".to_owned()]));
        }
    }
}
