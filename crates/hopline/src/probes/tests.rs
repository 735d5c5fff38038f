//! What questions cost.

use super::asks::{METADATA_PAGE, METADATA_PORT};
use super::*;
use model::http::{HttpAnswer, Page};

fn result(asked: Asked) -> ProbeResult {
    ProbeResult {
        from: "web1".to_owned(),
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

#[test]
fn a_page_costs_more_than_its_connection() {
    let page = Page { path: METADATA_PAGE.to_owned(), answer: HttpAnswer::Silent, took_us: 1 };
    let asked = |page| Asked::Connection { port: METADATA_PORT, accepted: true, page, greeting: None };
    assert_eq!(packets(&result(asked(None)), &[]), CONNECTION_PACKETS);
    assert_eq!(packets(&result(asked(Some(page))), &[]), PAGE_PACKETS);
}
