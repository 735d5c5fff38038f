//! A connection that is refused where the walk would have somebody listen.

use model::finding::{Confidence, EvidenceKind, Finding};
use model::intent::Instance;
use model::path::{Direction, Hop, Place};
use model::probe::ProbeResult;

use crate::contradiction::Asking;
use crate::diagnose::start_of;
use crate::ladder::{Purpose, SSH_PORT};
use crate::{evidence, said, unheld, watched};

/// Nobody listens, or somebody on the way says so. `None` where it is no fault: of a question that only tries the way a
/// refusal is an answer, too.
pub(crate) fn finding(asking: &Asking) -> Option<Finding> {
    let Asking { case, rung, instance, probe, .. } = *asking;
    let tries_the_way = matches!(
        rung.purpose,
        Purpose::OutsideBy(_) | Purpose::UpstreamBy(..) | Purpose::InboundBy(..) | Purpose::StepBy(_)
    );
    if tries_the_way {
        return None;
    }
    let is_for_sshd = matches!(rung.purpose, Purpose::Ssh(_) | Purpose::ServedSsh);
    let guest = case.intent.instances.get(rung.instance).filter(|one| is_for_sshd && !one.entered);
    if let Some((guest, nic)) = guest.and_then(|guest| Some((guest, seen_at_its_nic(asking, guest)?))) {
        return Some(by_guest(guest, nic, probe));
    }
    let asked = rung.answer.paths.iter().find(|path| path.direction == Direction::Request);
    let last = asked.and_then(|path| path.hops.last());
    Some(Finding {
        code: "lost-at-hop".to_owned(),
        hop: last.map_or_else(|| start_of(rung), |hop| hop.at.clone()),
        direction: Direction::Request,
        exchange: probe.asked.exchange(),
        summary: format!(
            "{} is refused {}, though everything that was read would let it pass",
            probe.from,
            said::answer_from(probe).replacen("from", "by", 1)
        ),
        cause: "nobody listens where the connection is led to, or a rule that was not read rejects it"
            .to_owned(),
        confidence: Confidence::Likely,
        evidence: vec![said::evidence(probe)],
        owner: "unknown".to_owned(),
        remedy: Vec::new(),
        instances: vec![instance.to_owned()],
    })
}

/// Where the refusal was seen to come out of the guest.
fn seen_at_its_nic<'a>(asking: &Asking<'a>, guest: &Instance) -> Option<&'a Place> {
    let Asking { case, rung, .. } = *asking;
    let is_its = |hop: &Hop| {
        hop.at.host == guest.host && guest.vifs.iter().any(|vif| vif.device.as_ref() == Some(&hop.at.device))
    };
    let mut back = rung.answer.paths.iter().filter(|path| path.direction == Direction::Reply);
    back.find_map(|path| watched::seen_at(case, rung, path, is_its)).map(|hop| &hop.at)
}

fn by_guest(guest: &Instance, nic: &Place, probe: &ProbeResult) -> Finding {
    let name = &guest.name;
    Finding {
        code: "lost-at-hop".to_owned(),
        hop: unheld::inside(guest),
        direction: Direction::Request,
        exchange: probe.asked.exchange(),
        summary: format!("{name} itself refuses {}: nobody listens at its port {SSH_PORT}", probe.from),
        cause: format!("sshd does not run in {name}, or not for this address and port"),
        confidence: Confidence::Likely,
        evidence: vec![
            evidence::record(
                EvidenceKind::Capture,
                format!("hopline capture --at {nic} 'tcp port {SSH_PORT}'"),
                "the refusal was seen to come out of the instance here",
            ),
            said::evidence(probe),
        ],
        owner: "instance".to_owned(),
        remedy: vec![evidence::advice(
            format!("in {name}, by its console: ss -ltn; systemctl start sshd"),
            "the first shows who listens, and at which addresses; its console-log tells why it did not start",
        )],
        instances: vec![name.clone()],
    }
}
