//! docs/findings holds each finding's own page, as `hopline explain` prints it, and an index. `make docs` writes the
//! folder anew: it runs this test with HOPLINE_DOCS=write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod workspace;

use std::collections::BTreeMap;
use std::fs;

use workspace::root;

/// Every file of the folder by its name.
fn wanted() -> BTreeMap<String, String> {
    let of_diagnosis = checks::CATALOGUE.iter().map(|check| (check.code, check.summary(), check.page()));
    let of_database =
        cloud::DB_CATALOGUE.iter().filter_map(|check| Some((check.code, check.summary()?, check.page()?)));
    let (of_diagnosis, of_database): (Vec<_>, Vec<_>) = (of_diagnosis.collect(), of_database.collect());
    let mut index = format!(
        "# Findings\n\nWhat hopline can find, each with what it means, how it is known, what it looks like, and what \
         mends it; the same pages are in the program: `hopline explain CODE`. Written by `make docs` from the checks' \
         own source.\n\n## Of a diagnosis ({})\n\n",
        of_diagnosis.len()
    );
    let line = |code: &str, summary: &str| format!("* [`{code}`]({code}.md): {summary}\n");
    of_diagnosis.iter().for_each(|(code, summary, _)| index.push_str(&line(code, summary)));
    index.push_str(&format!("\n## Of the database ({}, `hopline db check`)\n\n", of_database.len()));
    of_database.iter().for_each(|(code, summary, _)| index.push_str(&line(code, summary)));
    let of_packets = report::PACKET_CATALOGUE;
    index.push_str(&format!("\n## Of packets ({}, `hopline correlate`)\n\n", of_packets.len()));
    of_packets.iter().for_each(|finding| index.push_str(&line(finding.code, finding.summary())));
    let of_packets = of_packets.iter().map(|one| (one.code, one.summary().to_owned(), one.page.to_owned()));
    let pages = of_diagnosis.into_iter().chain(of_database).chain(of_packets);
    let pages = pages.map(|(code, _, page)| (format!("{code}.md"), page));
    pages.chain([("README.md".to_owned(), index)]).collect()
}

#[test]
fn the_pages_of_findings_are_fresh() {
    let folder = root().join("docs/findings");
    let wanted = wanted();
    if std::env::var_os("HOPLINE_DOCS").is_some_and(|word| word == "write") {
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        wanted.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
    }
    let entries = fs::read_dir(&folder).expect("docs/findings: `make docs` writes it");
    let there: BTreeMap<String, String> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    let stale = |name: &&String| there.get(*name) != wanted.get(*name);
    let stale: Vec<&String> = there.keys().chain(wanted.keys()).filter(stale).collect();
    assert!(stale.is_empty(), "`make docs` writes these anew: {stale:?}");
}
