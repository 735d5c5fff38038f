//! The ipsets of a namespace, where rules ask for any.

use std::io;

use model::netfilter::{Action, Ruleset, Test};
use model::snapshot::Gap;
use parse::{Parsed, ipset_save};

use crate::gaps::{gap, unparsed};
use crate::kept::Kept;
use crate::tool;

/// Reads the ipsets into the ruleset whose rules ask for them.
pub(super) fn read(kept: Kept<'_>, ruleset: &mut Ruleset) -> Vec<Gap> {
    if !asked_for(ruleset) {
        return Vec::new();
    }
    let machine = kept.machine;
    match tool::run("ipset", &["save"]) {
        Ok(text) => {
            kept.of_netns("ipset-save.txt", &text);
            let Parsed { value, problems } = ipset_save::parse(&text);
            ruleset.ipsets = value;
            ipset_save::note_changes(ruleset);
            unparsed(&format!("ipset save on {machine}"), &problems)
        }
        Err(error) => {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let need = if missing { "apt-get install ipset" } else { "ipset save" };
            vec![gap(
                format!("ipsets of {machine}, which its rules ask for"),
                format!("ipset: {error}"),
                need,
            )]
        }
    }
}

/// A rule looks a packet up in an ipset, be it understood or not.
fn asked_for(ruleset: &Ruleset) -> bool {
    let mut rules = ruleset.tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules);
    rules.any(|rule| {
        let asks = |test: &Test| match test {
            Test::InIpset { .. } => true,
            Test::Unmodelled(text) | Test::Unpredictable(text, _) => text.contains("--match-set"),
            _ => false,
        };
        let maps = matches!(&rule.action, Action::Unmodelled(text) if text.contains("--map-set"));
        maps || rule.matches.iter().any(|condition| asks(&condition.test))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::netfilter::{Dialect, Family};

    #[test]
    fn sets_are_read_only_where_a_rule_asks_for_one() {
        for (rule, asks) in [
            ("-m set --match-set a src -j DROP", true),
            ("-m set --match-set a src --return-nomatch -j DROP", true),
            ("-j SET --map-set a src --map-mark", true),
            ("-j SET --add-set a src", false),
            ("-m comment --comment --match-set -j DROP", false),
        ] {
            let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {rule}\nCOMMIT\n");
            let tables = parse::iptables_save::parse(&dump, Dialect::IptablesNft, Family::Ip).value;
            assert_eq!(asked_for(&Ruleset { tables, ..Ruleset::default() }), asks, "{rule}");
        }
    }
}
