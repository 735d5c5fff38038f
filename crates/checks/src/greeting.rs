//! An ssh server that takes connections and does not greet as one: the kernel takes them for a process that hangs.
//!
//! sshd greets before it knows who has come. Where it looks that up first all the same, by TCP wrappers, a greeting is
//! late for want of names, which is told of those.

use model::finding::{Confidence, Finding};
use model::intent::Instance;
use model::path::{Direction, Exchange};
use model::probe::{Asked, ProbeResult};
use model::snapshot::Gap;
use model::ssh::{Greeted, Greeting};

use crate::contradiction::Asking;
use crate::ladder::SSH_PORT;
use crate::ranking::Ranked;
use crate::{dns, evidence, said, unheld};

/// The greeting that does not come, or is none of ssh's.
pub(crate) fn finding(asking: &Asking, findings: &[Ranked]) -> Option<Finding> {
    let Asking { case, rung, probe, .. } = *asking;
    let greeting = greeting_of(probe)?;
    let guest = case.intent.instances.get(rung.instance)?;
    let name = &guest.name;
    let from = &probe.from;
    let (summary, cause, confidence) = match &greeting.said {
        Greeted::Version(_) => return None,
        Greeted::Silent => (
            format!("{name} takes the connection of {from} at its port {SSH_PORT}, and nobody in it greets"),
            format!("sshd hangs in {name}: its kernel takes connections that sshd does not pick up"),
            Confidence::Likely,
        ),
        Greeted::HungUp => (
            format!("{name} takes the connection of {from} at its port {SSH_PORT}, and closes it without a greeting"),
            "sshd turns the client away, or ends: too many that are not logged in yet (MaxStartups), hosts.deny, no \
             keys of its own"
                .to_owned(),
            Confidence::Likely,
        ),
        Greeted::Other(text) => (
            format!("what answers {from} at port {SSH_PORT} of {name} is no ssh server"),
            format!("another program listens there: it says `{}`", said::beginning(text)),
            Confidence::Likely,
        ),
    };
    let hop = unheld::inside(guest);
    let is_silent = matches!(greeting.said, Greeted::Silent);
    if unheld::is_told(findings, &hop) || (is_silent && may_be_lost_or_waits(asking, guest)) {
        return None;
    }
    Some(Finding {
        code: "lost-at-hop".to_owned(),
        hop,
        direction: Direction::Reply,
        exchange: Exchange::Tcp,
        summary,
        cause,
        confidence,
        evidence: vec![said::evidence(probe)],
        owner: "instance".to_owned(),
        remedy: vec![evidence::advice(
            format!("in {name}, by its console: ss -ltnp 'sport = :{SSH_PORT}'; systemctl restart ssh"),
            "the first shows who listens, and in Recv-Q how many wait for it; sessions that stand are not disturbed",
        )],
        instances: vec![name.clone()],
    })
}

/// Some packets are lost, or the guest waits for names: then its silence says nothing of sshd.
fn may_be_lost_or_waits(asking: &Asking, guest: &Instance) -> bool {
    let waits = |probe: &ProbeResult| {
        let is_name = matches!(probe.asked, Asked::Name { .. }) && probe.from == guest.name;
        is_name && (probe.received == 0 || dns::is_late(probe))
    };
    asking.case.probes.iter().any(|probe| probe.lost_some() == Some(true) || waits(probe))
}

/// A greeting that came, and late: once is no fault.
pub(crate) fn late(asking: &Asking) -> Option<Gap> {
    let greeting = greeting_of(asking.probe)?;
    let is_late = matches!(greeting.said, Greeted::Version(_)) && greeting.took_us >= dns::LATE_US;
    is_late.then(|| Gap {
        what: format!("whether {} is always slow to greet", asking.instance),
        why: format!("it was so once: {}", said::told(asking.probe)),
        would_need: "the same question again, and `ssh -v`, which shows where it waits".to_owned(),
    })
}

fn greeting_of(probe: &ProbeResult) -> Option<&Greeting> {
    match &probe.asked {
        Asked::Connection { greeting, .. } => greeting.as_ref(),
        Asked::Echo { .. } | Asked::Address { .. } | Asked::Name { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use model::probe::{Asked, PING_OCTETS, ProbeResult};
    use model::ssh::{Greeted, Greeting};

    use crate::fixture::{codes, connected, healthy, looked_up, pinged};
    use crate::ladder::Symptom;

    fn greeted(said: Greeted, took_us: u64) -> ProbeResult {
        let greeting = Some(Greeting { said, took_us });
        let asked = Asked::Connection { port: 22, accepted: true, page: None, greeting };
        ProbeResult { asked, ..connected("external", [203, 0, 113, 30].into(), 22, true) }
    }

    /// What is found, and whether a slow greeting is told.
    fn told(probes: &[ProbeResult]) -> (Vec<String>, bool) {
        let mut cloud = healthy();
        cloud.probes = probes.to_vec();
        let found = cloud.diagnose_for("web1", Symptom::Ssh);
        let is_slow =
            found.coverage.gaps.iter().any(|gap| gap.what == "whether web1 is always slow to greet");
        (codes(&found), is_slow)
    }

    #[test]
    fn fires_on_whatever_is_no_greeting() {
        let other = Greeted::Other("HTTP/1.0 400 Bad Request".to_owned());
        for said in [Greeted::Silent, Greeted::HungUp, other] {
            assert_eq!(told(&[greeted(said, 3_000_000)]), (vec!["lost-at-hop web1//".to_owned()], false));
        }
    }

    #[test]
    fn stays_silent_on_a_greeting_and_tells_a_late_one() {
        let version = || Greeted::Version("SSH-2.0-OpenSSH_9.2".to_owned());
        assert_eq!(told(&[greeted(version(), 900)]), (Vec::new(), false));
        assert_eq!(told(&[greeted(version(), 2_500_000)]), (Vec::new(), true));
    }

    #[test]
    fn a_silence_that_something_else_may_explain_is_not_sshds() {
        let silent = || greeted(Greeted::Silent, 3_000_000);
        let lossy = pinged("web2", PING_OCTETS, 1);
        let (found, _) = told(&[silent(), lossy]);
        assert!(!found.contains(&"lost-at-hop web1//".to_owned()), "{found:?}");
        let (found, _) = told(&[silent(), looked_up("web1", [10, 0, 0, 42].into(), None)]);
        assert!(!found.contains(&"lost-at-hop web1//".to_owned()), "{found:?}");
    }
}
