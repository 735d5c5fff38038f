//! Taking a rule out, or opening a policy: the command, and the one that puts it back.

use model::Netns;
use model::finding::Remedy;
use model::netfilter::Dialect;
use model::path::RuleRef;

use crate::evidence;
use crate::restart::typed;

/// Deletes the rule, or opens the policy.
pub(crate) fn of(ns: &Netns, rule: &RuleRef) -> Remedy {
    if rule.number == 0 { opened(ns, rule) } else { deleted(ns, rule) }
}

/// Has a policy accept what no rule took.
fn opened(ns: &Netns, policy: &RuleRef) -> Remedy {
    let (chain, name) = (typed(policy.chain()), typed(&policy.table));
    let set = |verdict: &str| match policy.dialect {
        Dialect::Nft => {
            let family = policy.family.name();
            format!("nft 'chain {family} {name} {chain} {{ policy {} ; }}'", verdict.to_lowercase())
        }
        Dialect::IptablesLegacy
        | Dialect::IptablesNft
        | Dialect::EbtablesLegacy
        | Dialect::EbtablesNft
        | Dialect::ArptablesLegacy
        | Dialect::ArptablesNft => {
            format!("{} -t {name} -P {chain} {verdict}", policy.dialect.edit_command(policy.family))
        }
    };
    evidence::remedy(ns, &set("ACCEPT"), &set("DROP"), "lets everything pass that no rule drops")
}

/// Deletes the rule by its handle in native nftables, else by what it says: a number is another rule's as soon as one
/// before it is gone. The undo puts it back where it was.
fn deleted(ns: &Netns, rule: &RuleRef) -> Remedy {
    let (chain, name) = (typed(rule.chain()), typed(&rule.table));
    // A listing of nft's does not tell all that iptables says of its rule: nft takes it out as well.
    let dialect = if rule.dialect == Dialect::IptablesNft && !rule.text.starts_with("-A ") {
        Dialect::Nft
    } else {
        rule.dialect
    };
    match dialect {
        Dialect::Nft => {
            let family = rule.family.name();
            let handle = rule.handle.map_or_else(|| "HANDLE".to_owned(), |h| h.to_string());
            let delete = format!("nft delete rule {family} {name} {chain} handle {handle}");
            // nft counts from 0, and adds behind the rule that it is told; the first has none before it.
            let place = format!("{family} {name} {chain}");
            // nft takes what stands in one word as it does several.
            let text = if is_plain(&rule.text) { rule.text.clone() } else { typed(&rule.text) };
            let undo = match rule.number.checked_sub(2) {
                Some(before) => format!("nft add rule {place} index {before} {text}"),
                None => format!("nft insert rule {place} {text}"),
            };
            evidence::remedy(ns, &delete, &undo, "")
        }
        Dialect::IptablesLegacy
        | Dialect::IptablesNft
        | Dialect::EbtablesLegacy
        | Dialect::EbtablesNft
        | Dialect::ArptablesLegacy
        | Dialect::ArptablesNft => {
            let edit = rule.dialect.edit_command(rule.family);
            let spec = rule.text.strip_prefix(&format!("-A {} ", rule.chain())).unwrap_or(&rule.text);
            let spec = if is_plain(&spec.replace('"', "")) { spec.to_owned() } else { retyped(spec) };
            let number = rule.number;
            // iptables itself refuses a DROP in nat, also to delete it by: who loaded it did so in another way.
            let is_of_iptables = matches!(rule.dialect, Dialect::IptablesLegacy | Dialect::IptablesNft);
            if is_of_iptables && rule.table == "nat" && rule.text.contains("-j DROP") {
                return evidence::remedy(ns, &format!("{edit} -t {name} -D {chain} {number}"), "", "");
            }
            let delete = format!("{edit} -t {name} -D {chain} {spec}");
            evidence::remedy(ns, &delete, &format!("{edit} -t {name} -I {chain} {number} {spec}"), "")
        }
    }
}

/// A shell reads nothing into it but words.
fn is_plain(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || " /._-+:,=@%{}[]^".contains(c);
    text.replace("! ", " ").chars().all(is_word)
}

/// A rule as iptables-save writes it, each word as it must be typed: within its double quotes a shell would still run
/// `$(x)`. A quote and a backslash stand behind a backslash there (`xtables_save_string`, libxtables/xtables.c).
fn retyped(spec: &str) -> String {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut is_quoted, mut letters) = (false, spec.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => word.extend(letters.next()),
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.iter().map(|word| typed(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Family, Hook};

    use super::*;

    #[test]
    fn what_a_shell_would_run_is_quoted() {
        let spec = r#"-s 1.2.3.4/32 -m comment --comment "a $(x) \"b\"" -i ;reboot -j DROP"#;
        let meant = r#"-s 1.2.3.4/32 -m comment --comment 'a $(x) "b"' -i ';reboot' -j DROP"#;
        assert_eq!(retyped(spec), meant);
        assert!(is_plain("! -s 10.0.0.0/8 -p tcp -m multiport --dports 22,80 -j DROP"));
        for active in ["a;b", "$(x)", "`x`", "a|b", "a&b", "a>b", "it's", "a!b", "\\n", "a\nb"] {
            assert!(!is_plain(active), "{active}");
        }
    }

    #[test]
    fn what_a_listing_of_nfts_tells_in_part_is_taken_out_by_nft() {
        let ns = Netns::default();
        let taken = |text: &str| {
            let rule = RuleRef {
                dialect: Dialect::IptablesNft,
                family: Family::Ip,
                table: "filter".to_owned(),
                hook: Hook::Forward,
                chains: vec!["FORWARD".to_owned()],
                number: 1,
                text: text.to_owned(),
                counters: None,
                handle: Some(7),
                rejects_with: None,
            };
            deleted(&ns, &rule).command
        };
        assert_eq!(taken("-A FORWARD -i a -j DROP"), "iptables -t filter -D FORWARD -i a -j DROP");
        assert_eq!(taken("xt match \"owner\" drop"), "nft delete rule ip filter FORWARD handle 7");
    }
}
