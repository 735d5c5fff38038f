//! Tables of nft's listing that are iptables': their rules as iptables itself says them, as far as the listing tells.
//!
//! What nft has no words for it only names (`xt match "owner"`). Such a rule keeps nft's text, by which it is known.

use model::netfilter::{Action, Chain, CtStates, Dialect, Family, Match, NfRule, Table, Test};
use parse::iptables_save;

use super::iptables::IPTABLES;

/// The one target of nova's that nft has no words for, as nft names it and as iptables says it, with its only option.
const CHECKSUM: &str = "xt target CHECKSUM";
const FILL_CHECKSUM: &str = "-j CHECKSUM --checksum-fill";

/// A table of iptables' becomes one of iptables-nft, whose tools show and edit it.
pub(super) fn as_their_owner_has_them(table: &mut Table) {
    if !is_iptables(table) {
        return;
    }
    table.dialect = Dialect::IptablesNft;
    let family = table.family;
    for chain in &mut table.chains {
        let is_novas = chain.name.ends_with("-POSTROUTING");
        for rule in &mut chain.rules {
            if is_novas {
                right_negation(rule);
            }
            if matches!(&rule.action, Action::Unmodelled(text) if CHECKSUM == text) {
                rule.action = Action::NonTerminal(FILL_CHECKSUM.to_owned());
            }
            if is_told_whole(rule) {
                rule.matches.sort_by_key(place);
                let text = iptables_save::print::rule(rule, &chain.name, family);
                rule.text = text.unwrap_or_else(|| std::mem::take(&mut rule.text));
            }
        }
    }
}

/// By its name and its base chains, all of which have the names that iptables gives them: others may call a table
/// `filter`, too.
fn is_iptables(table: &Table) -> bool {
    let is_builtin = |chain: &Chain| chain.base.as_ref().is_none_or(|base| chain.name == base.hook.builtin());
    matches!(table.family, Family::Ip | Family::Ip6)
        && IPTABLES.contains(&table.name.as_str())
        && table.chains.iter().all(is_builtin)
}

/// nft prints `-m conntrack ! --ctstate DNAT` of iptables' without its `!` (1.0.6, `libxt_conntrack.c`'s translation).
/// So it does with nova's own rule that leaves alone what goes from instance to instance, and what was led to a
/// floating address would seem to be left alone instead: nova always writes the `!` (`linux_net.py`).
fn right_negation(rule: &mut NfRule) {
    if rule.action == Action::Accept {
        for wanted in &mut rule.matches {
            wanted.negated |= matches!(wanted.test, Test::CtState(CtStates { dnat: true, .. }));
        }
    }
}

/// Where iptables-save says it (`save_ipv4_addr` and what follows, iptables/nft-ipv4.c): what it has an own option for
/// first, then its modules' in the order of the rule.
fn place(wanted: &Match) -> u8 {
    match wanted.test {
        Test::Source(_) => 0,
        Test::Destination(_) => 1,
        Test::In(_) => 2,
        Test::Out(_) => 3,
        Test::Protocol(_) => 4,
        _ => 5,
    }
}

/// Nothing of it stands in nft's words.
fn is_told_whole(rule: &NfRule) -> bool {
    let is_told = |wanted: &Match| {
        !matches!(wanted.test, Test::Unmodelled(_) | Test::Unpredictable(..) | Test::InSet(_))
    };
    let does = match &rule.action {
        Action::NonTerminal(text) => text == FILL_CHECKSUM,
        Action::Elsewhere(..) | Action::Unmodelled(_) | Action::Several(_) => false,
        _ => true,
    };
    does && rule.matches.iter().all(is_told)
}

#[cfg(test)]
mod tests {
    use parse::nft_text;

    use super::*;

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
            tables.iter_mut().for_each(as_their_owner_has_them);
            let rules = tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
            let negated: Vec<bool> =
                rules.map(|rule| rule.matches.iter().any(|wanted| wanted.negated)).collect();
            assert_eq!(negated, [expected], "{table}: {rule}");
        }
    }

    /// What nft 1.0.6 lists of a host of nova's, and what its iptables-save prints of the same rules.
    const LISTED: [(&str, &str); 9] = [
        (
            "oifname \"br100\" udp dport 68 counter packets 4 bytes 8 xt target CHECKSUM",
            "-o br100 -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill",
        ),
        (
            "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 counter packets 1 bytes 2 accept",
            "-s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 -j ACCEPT",
        ),
        ("meta l4proto icmp counter packets 0 bytes 0 accept", "-p icmp -j ACCEPT"),
        (
            "oifname \"eth0\" ip saddr 10.0.0.0/16 counter packets 0 bytes 0 snat to 203.0.113.34",
            "-s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.34",
        ),
        (
            "ip daddr 169.254.169.254 tcp dport 80 counter packets 2 bytes 120 dnat to 203.0.113.34:8775",
            "-d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 203.0.113.34:8775",
        ),
        ("counter packets 3 bytes 1002 jump d", "-j d"),
        (
            "ct state related,established counter packets 6 bytes 513 accept",
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        ("iifname \"br100\" counter packets 0 bytes 0 drop", "-i br100 -j DROP"),
        ("xt match \"owner\" counter packets 0 bytes 0 drop", ""),
    ];

    #[test]
    fn what_is_iptables_own_is_said_as_iptables_says_it() {
        let listed: Vec<&str> = LISTED.iter().map(|(listed, _)| *listed).collect();
        let rules = format!("\t\t{}\n", listed.join("\n\t\t"));
        let base = "\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n";
        let of = |base: &str| {
            let text =
                format!("table ip filter {{\n{base}\tchain c {{\n{rules}\t}}\n\tchain d {{\n\t}}\n}}\n");
            let mut tables = nft_text::parse(&text, &|_, _| false).value;
            tables.iter_mut().for_each(as_their_owner_has_them);
            tables.remove(0)
        };
        let table = of(base);
        assert_eq!(table.dialect, Dialect::IptablesNft);
        let texts: Vec<&str> =
            table.chain("c").unwrap().rules.iter().map(|rule| rule.text.as_str()).collect();
        for (text, (listed, saved)) in texts.iter().zip(LISTED) {
            let as_listed = listed.replace(" packets 0 bytes 0", "");
            assert_eq!(*text, if saved.is_empty() { as_listed } else { format!("-A c {saved}") });
        }
        // Another's table of that name.
        let other = of(&base.replace("FORWARD", "forward"));
        assert_eq!(other.dialect, Dialect::Nft);
        assert!(other.chains.iter().flat_map(|chain| &chain.rules).all(|rule| !rule.text.starts_with("-A")));
    }
}
