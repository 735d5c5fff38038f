//! What puts right what a dnsmasq offers: lines of its files and a SIGHUP, which disturbs nobody; or a start anew.

use std::net::Ipv4Addr;

use model::finding::Remedy;
use model::service::Dnsmasq;

use crate::dhcp_offer::{By, Misfit};
use crate::dhcp_options::Place;
use crate::edited;
use crate::evidence;
use crate::restart;
use crate::view::{Seat, View};

/// What must be changed where.
#[derive(Default)]
struct Work {
    /// Lines of files that a SIGHUP has dnsmasq read again: command and undo.
    read_again: Vec<(String, String)>,
    /// Lines of its configuration.
    configuration: Vec<(String, String)>,
    /// Arguments that nova does not give.
    arguments: Vec<String>,
    /// The files say nothing of the kind any more.
    is_unread: bool,
    /// Where it comes from is not known.
    is_untold: bool,
}

/// The remedies, those that disturb nobody first.
pub(crate) fn remedies(view: &View, seat: Seat, server: Option<&Dnsmasq>, misfits: &[Misfit]) -> Vec<Remedy> {
    let told = server.zip(seat.gateway());
    let work = told.map(|(server, gateway)| work(&seat, server, gateway, misfits)).unwrap_or_default();
    let mut remedies = Vec::new();
    if let Some(server) = server {
        remedies.extend(signalled(server, &work));
        remedies.extend(work.configuration.iter().map(|(command, undo)| Remedy {
            command: command.clone(),
            undo: undo.clone(),
            note: "read when dnsmasq starts, and not before: see the next step".to_owned(),
        }));
        remedies.extend(restarted(view, seat, server, &work));
    }
    if work.is_untold || remedies.is_empty() {
        remedies.push(evidence::advice(
            "correct dnsmasq's options (nova.conf: dnsmasq_config_file), then restart that dnsmasq",
            "no names and no addresses for its network meanwhile; instances learn of it at half of their lease",
        ));
    }
    remedies
}

fn work(seat: &Seat, server: &Dnsmasq, gateway: Ipv4Addr, misfits: &[Misfit]) -> Work {
    let mut work = Work::default();
    for misfit in misfits {
        match &misfit.by {
            By::Other => work.is_untold = true,
            By::Host(line, wrong) => {
                let file = server.hosts_file.as_deref().zip(seat.vif.fixed.first());
                let edit = file.map(|(file, right)| {
                    edited::line(file, line.line, &wrong.to_string(), &right.to_string())
                });
                work.read_again.extend(edit);
            }
            By::Options(_, written) if written.is_empty() => work.is_unread = true,
            By::Options(kind, written) => {
                for one in written {
                    let edit = one.edit(*kind, gateway);
                    match one.place {
                        Place::Options(_) => work.read_again.extend(edit),
                        Place::Configuration(_) => work.configuration.extend(edit),
                        Place::Argument => work.arguments.push(format!("--dhcp-option={}", one.option)),
                        Place::Untold => work.is_untold = true,
                    }
                }
            }
        }
    }
    work
}

/// What a SIGHUP does, with what must be written before.
fn signalled(server: &Dnsmasq, work: &Work) -> Option<Remedy> {
    if work.read_again.is_empty() {
        let note = "dnsmasq reads its options' file as it now stands; disturbs nobody";
        return work.is_unread.then(|| evidence::advice(format!("kill -HUP {}", server.pid), note));
    }
    let (commands, mut undos): (Vec<&str>, Vec<&str>) =
        work.read_again.iter().map(|(command, undo)| (command.as_str(), undo.as_str())).unzip();
    undos.reverse();
    let does = "instances learn of it at half of their lease, or when they start";
    Some(restart::reread(server, &commands.join(" && "), &undos.join(" && "), does))
}

/// What only a start anew does; and nova-network, which writes its files as it means them.
fn restarted(view: &View, seat: Seat, server: &Dnsmasq, work: &Work) -> Vec<Remedy> {
    if !work.arguments.is_empty() {
        let does = format!("ends the one with {}, which nova does not give", work.arguments.join(" "));
        return restart::dnsmasq(view, seat, server, "TERM", &does);
    }
    if !work.configuration.is_empty() {
        return restart::dnsmasq(
            view,
            seat,
            server,
            "TERM",
            "the next one reads its configuration as it then stands",
        );
    }
    let is_novas_file = work.is_unread || !work.read_again.is_empty();
    let network =
        || restart::network(view, &seat.server.name, "writes every file of dnsmasq's again and signals each");
    is_novas_file.then(network).into_iter().collect()
}
