//! What questions cost.

use super::asks::{METADATA_PAGE, METADATA_PORT};
use super::cost::{CONNECTION_PACKETS, PAGE_PACKETS};
use super::fixture::{machine, ping};
use super::*;
use model::http::{HttpAnswer, Page};
use model::probe::Asked;
use probe::as_instance::Then;
use probe::dns;

fn result(asked: Asked) -> ProbeResult {
    ProbeResult {
        from: "compute1".to_owned(),
        by_host: false,
        to: [169, 254, 169, 254].into(),
        asked,
        sent: 1,
        received: 1,
        reply_ttl: None,
        rtt_us: None,
        errors: Vec::new(),
        send_error: None,
        recorded: None,
    }
}

fn asks(machine: &MachinePlan, asks: Asks) -> Probe<'_> {
    Probe { asks, ..ping(machine, [169, 254, 169, 254]) }
}

#[test]
fn a_page_costs_more_than_its_connection_and_at_home_nothing() {
    let machine = machine("compute1");
    let page = Page { path: METADATA_PAGE.to_owned(), answer: HttpAnswer::Silent, body: None, took_us: 1 };
    let asked = |page| Asked::Connection { port: METADATA_PORT, accepted: true, page, greeting: None };
    let probe = asks(&machine, Asks::Connection { port: METADATA_PORT, then: Then::Page(METADATA_PAGE) });
    assert_eq!(probe.packets(&result(asked(None))), CONNECTION_PACKETS);
    assert_eq!(
        (probe.packets(&result(asked(Some(page.clone())))), probe.packets_max()),
        (PAGE_PACKETS, PAGE_PACKETS)
    );
    let at_home = Probe { is_at_home: true, ..probe };
    assert_eq!((at_home.packets(&result(asked(Some(page)))), at_home.packets_max()), (0, 0));
}

#[test]
fn a_name_costs_what_the_server_asks_others() {
    let machine = machine("compute1");
    let question = dns::Question::NameOf([1, 2, 3, 4].into());
    let asked = Asked::Name {
        question: question.to_string(),
        server_port: 53,
        over_tcp: false,
        cut_short: false,
        answer: None,
        unreadable: None,
        strays: probe::dns::Strays::default(),
    };
    let probe = Probe { passed_on: 3, ..asks(&machine, Asks::Name(question)) };
    let came = ProbeResult { sent: 2, ..result(asked) };
    assert!(probe.has_asked(&came));
    assert_eq!((probe.packets(&came), probe.packets_max()), (8, 8));
    assert_eq!(Probe { is_at_home: true, ..probe }.packets_max(), 6);
}
