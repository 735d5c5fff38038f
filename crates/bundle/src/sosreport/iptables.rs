//! netfilter's rules, as far as a sosreport tells them.
//!
//! iptables' `-L` leaves out what its matches look for, so no packet can be walked through such a listing: what is told
//! so alone is unread. nft's listing has nf_tables whole, but for the parameters of iptables' own matches, of which
//! each rule that has one says that it is not known.

use model::netfilter::{Action, CtStates, Dialect, Family, Ruleset, Table, Test, Unread};
use parse::{ebtables_save, iptables_save, nft_text};

use super::files::Files;
use super::netns::Place;
use super::told;

/// Tables that iptables-nft keeps (`xtables-nft`), and ebtables-nft.
const IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
const EBTABLES: [&str; 3] = ["filter", "nat", "broute"];
/// Those whose packets nf_tables may decide about.
const NFT_FAMILIES: [Family; 5] = [Family::Ip, Family::Ip6, Family::Bridge, Family::Arp, Family::Netdev];

/// Everything that is told, and what is not: which rules, and the command that prints them.
pub(super) fn read(place: &Place<'_>) -> (Ruleset, Vec<(String, String)>) {
    let mut ruleset = Ruleset::default();
    let mut lacks = Vec::new();
    let saves = [(Family::Ip, "iptables-save"), (Family::Ip6, "ip6tables-save")];
    let mut saved: Vec<(Family, Dialect)> = Vec::new();
    let mut cut: Vec<(Family, &str, &str)> = Vec::new();
    for (family, command) in saves {
        let counted = format!("{command}_-c");
        let Some((path, text)) = place.command(&[&counted, command]) else { continue };
        let dialect = dialect(text);
        let parsed = iptables_save::parse(text, dialect, family);
        lacks.extend(unread_places(path, &parsed.problems, command));
        if told::nothing(&parsed) {
            continue;
        }
        if !is_whole_save(text) {
            cut.push((family, path, command));
        }
        ruleset.tables.extend(parsed.value);
        saved.push((family, dialect));
    }
    if let Some((path, text)) = place.command(&["ebtables-save_-c", "ebtables-save"]) {
        let parsed = ebtables_save::parse(text, Dialect::EbtablesNft);
        lacks.extend(unread_places(path, &parsed.problems, "ebtables-save"));
        if !told::nothing(&parsed) {
            ruleset.tables.extend(parsed.value);
            saved.push((Family::Bridge, Dialect::EbtablesNft));
        }
    }
    let mut has_nft = false;
    if let Some((path, text)) = place.command(&["nft_-a_list_ruleset", "nft_list_ruleset"]) {
        let is_saved = |family: Family, name: &str| {
            let names = if family == Family::Bridge { &EBTABLES[..] } else { &IPTABLES[..] };
            saved.iter().any(|(of, dialect)| *of == family && !dialect.is_legacy()) && names.contains(&name)
        };
        let mut parsed = nft_text::parse(text, &is_saved);
        parsed.value.iter_mut().for_each(right_negation);
        lacks.extend(unread_places(path, &parsed.problems, "iptables-save -c"));
        let is_whole = is_whole_nft(text);
        // Where but those tables are listed that a dump has, too, none is left of them.
        has_nft = is_whole || !parsed.value.is_empty();
        ruleset.tables.extend(parsed.value);
        if has_nft && !is_whole {
            cut.extend(NFT_FAMILIES.map(|family| (family, path, "nft -a list ruleset")));
        }
    }
    let cut = cut.into_iter().map(|(family, path, need)| Unread {
        family,
        what: format!("the rest of {path}"),
        would_need: need.to_owned(),
    });
    for unread in unread(place, has_nft, &saved).into_iter().chain(cut) {
        lacks.push((unread.what.clone(), unread.would_need.clone()));
        ruleset.unread.push(unread);
    }
    lacks.dedup();
    let asks_sets = |test: &Test| matches!(test, Test::InIpset { .. });
    let rules = || ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    if rules().flat_map(|rule| &rule.matches).any(|wanted| asks_sets(&wanted.test)) {
        lacks.push(("ipsets".to_owned(), "ipset save".to_owned()));
    }
    (ruleset, lacks)
}

/// nft prints `-m conntrack ! --ctstate DNAT` of iptables' without its `!` (1.0.6, `libxt_conntrack.c`'s translation).
/// So it does with nova's own rule that leaves alone what goes from instance to instance, and what was led to a
/// floating address would seem to be left alone instead: nova always writes the `!` (`linux_net.py`).
fn right_negation(table: &mut Table) {
    let is_iptables =
        matches!(table.family, Family::Ip | Family::Ip6) && IPTABLES.contains(&table.name.as_str());
    let novas = table.chains.iter_mut().filter(|chain| is_iptables && chain.name.ends_with("-POSTROUTING"));
    let rules = novas.flat_map(|chain| &mut chain.rules).filter(|rule| rule.action == Action::Accept);
    for wanted in rules.flat_map(|rule| &mut rule.matches) {
        wanted.negated |= matches!(wanted.test, Test::CtState(CtStates { dnat: true, .. }));
    }
}

/// Which back end a dump is of, as its first comment says; releases before 1.8 had but the one.
fn dialect(text: &str) -> Dialect {
    let is_nft = text.lines().take(20).any(|line| {
        line.starts_with("# Generated by ") && (line.contains("nft-save") || line.contains("(nf_tables)"))
    });
    if is_nft { Dialect::IptablesNft } else { Dialect::IptablesLegacy }
}

/// A dump has lines of a few kinds, and each of its tables has an end: a line of another kind may be a rule's rest.
fn is_whole_save(text: &str) -> bool {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let begun = lines().filter(|line| line.starts_with('*')).count();
    let ended = lines().filter(|line| *line == "COMMIT").count();
    begun == ended && lines().all(|line| line == "COMMIT" || line.starts_with(['*', ':', '[', '-']))
}

/// In nft's listing all stands in tables, each of which has an end. What is not understood of a rule in them is kept.
fn is_whole_nft(text: &str) -> bool {
    let (mut depth, mut is_quoted) = (0_i64, false);
    for line in text.lines() {
        let line = line.trim();
        if depth == 0
            && !is_quoted
            && !line.is_empty()
            && !line.starts_with('#')
            && !line.starts_with("table ")
        {
            return false;
        }
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                '{' if !is_quoted => depth += 1,
                '}' if !is_quoted => depth -= 1,
                _ => {}
            }
        }
    }
    depth == 0 && !is_quoted
}

fn unread_places(path: &str, problems: &[parse::Problem], need: &str) -> Option<(String, String)> {
    let first = problems.first()?;
    Some((format!("{} places of {path} ({first})", problems.len()), need.to_owned()))
}

/// Rules that may be there, and are not told: each with the one file that would tell them.
fn unread(place: &Place<'_>, has_nft: bool, saved: &[(Family, Dialect)]) -> Vec<Unread> {
    let unread = |family, what: &str, need: &str| Unread {
        family,
        what: what.to_owned(),
        would_need: need.to_owned(),
    };
    let mut out = Vec::new();
    if !has_nft && !is_before_nf_tables(place.files) {
        let listings = ["iptables_-vnxL", "iptables_-t_filter_-nvL", "iptables_-t_nat_-nvL"];
        let listed = "rules of iptables (`iptables -L` lists them without what they look for)";
        let what = if place.command(&listings).is_some() { listed } else { "rules of iptables" };
        let of_iptables = [
            (Family::Ip, what, "iptables-save -c"),
            (Family::Ip6, "rules of ip6tables", "ip6tables-save -c"),
        ];
        for (family, what, need) in of_iptables {
            if saved.iter().all(|(of, _)| *of != family) {
                out.push(unread(family, what, need));
            }
        }
        for family in NFT_FAMILIES {
            out.push(unread(family, "netfilter rules in nf_tables", "nft -a list ruleset"));
        }
    }
    let has_legacy = |family| saved.iter().any(|(of, dialect)| *of == family && dialect.is_legacy());
    for (family, file, module, what, need) in [
        (Family::Ip, "ip_tables_names", "iptable_", "rules of iptables-legacy", "iptables-legacy-save -c"),
        (
            Family::Ip6,
            "ip6_tables_names",
            "ip6table_",
            "rules of ip6tables-legacy",
            "ip6tables-legacy-save -c",
        ),
        (Family::Arp, "arp_tables_names", "arptable_", "rules of arptables-legacy", "arptables-legacy-save"),
        (Family::Bridge, "", "ebtable_", "rules of ebtables-legacy", "ebtables-legacy-save"),
    ] {
        if !has_legacy(family) && may_have_legacy(place, file, module) {
            out.push(unread(family, what, need));
        }
    }
    out
}

/// procfs has the names of a namespace's legacy tables, but for ebtables' and for other namespaces than sos'; the
/// modules that are loaded tell for the whole kernel.
fn may_have_legacy(place: &Place<'_>, file: &str, module: &str) -> bool {
    let files = place.files;
    let is_own = place.name.is_none();
    let names = files.text(&format!("proc/net/{file}")).filter(|_| is_own && !file.is_empty());
    if let Some(names) = names {
        return !names.trim().is_empty();
    }
    let modules = files.first(&["sos_commands/kernel/lsmod", "lsmod", "proc/modules"]);
    // Where procfs was copied and has no such file, no such table was ever made.
    let is_copied = is_own && !file.is_empty() && files.text("proc/net/udp").is_some();
    match modules {
        Some((_, text)) => text.lines().any(|line| line.starts_with(module)),
        None => !is_copied,
    }
}

/// Linux 3.13 brought nf_tables.
fn is_before_nf_tables(files: &Files) -> bool {
    let Some(release) = super::host::kernel(files) else { return false };
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (3, 13),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_says_whose_it_is() {
        for (line, expected) in [
            ("# Generated by iptables-save v1.8.9 (nf_tables) on Mon", Dialect::IptablesNft),
            ("# Generated by xtables-nft-save v1.8.2 on Mon", Dialect::IptablesNft),
            ("# Generated by iptables-save v1.8.9 on Mon", Dialect::IptablesLegacy),
            ("# Generated by iptables-save v1.4.21 on Mon", Dialect::IptablesLegacy),
            ("*filter", Dialect::IptablesLegacy),
        ] {
            assert_eq!(dialect(line), expected, "{line}");
        }
    }

    #[test]
    fn nova_leaves_alone_what_was_not_led_to_a_floating_address() {
        let chain = |table: &str, rule: &str| {
            format!("table ip {table} {{\n\tchain nova-network-POSTROUTING {{\n\t\t{rule}\n\t}}\n}}\n")
        };
        let accepts = "ip saddr 10.0.0.0/16 ct status dnat counter packets 2 bytes 674 accept";
        let snats = "ip saddr 10.0.2.24 ct status dnat counter packets 0 bytes 0 snat to 203.0.113.30";
        for (table, rule, expected) in
            [("nat", accepts, true), ("nat", snats, false), ("mine", accepts, false)]
        {
            let mut tables = nft_text::parse(&chain(table, rule), &|_, _| false).value;
            tables.iter_mut().for_each(right_negation);
            let rules = tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
            let negated: Vec<bool> =
                rules.map(|rule| rule.matches.iter().any(|wanted| wanted.negated)).collect();
            assert_eq!(negated, [expected], "{table}: {rule}");
        }
    }
}
