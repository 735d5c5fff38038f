//! Taking a rule out: the command, and the one that puts it back.

use model::Netns;
use model::finding::Remedy;
use model::netfilter::Dialect;
use model::path::RuleRef;

use crate::evidence;

/// Deletes the rule by its number, or its handle in native nftables; the undo puts it back there.
pub(crate) fn of(ns: &Netns, rule: &RuleRef) -> Remedy {
    let chain = rule.chain();
    match rule.dialect {
        Dialect::Nft => {
            let family = rule.family.name();
            let handle = rule.handle.map_or_else(|| "HANDLE".to_owned(), |h| h.to_string());
            let delete = format!("nft delete rule {family} {} {chain} handle {handle}", rule.table);
            // nft counts from 0, and adds behind the rule that it is told; the first has none before it.
            let place = format!("{family} {} {chain}", rule.table);
            let undo = match rule.number.checked_sub(2) {
                Some(before) => format!("nft add rule {place} index {before} {}", rule.text),
                None => format!("nft insert rule {place} {}", rule.text),
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
            let delete = format!("{edit} -t {} -D {chain} {}", rule.table, rule.number);
            let spec = rule.text.strip_prefix(&format!("-A {chain} ")).unwrap_or(&rule.text);
            // iptables itself refuses a DROP in nat: who loaded it did so in another way.
            let undo = match rule.table.as_str() {
                "nat" => String::new(),
                table => format!("{edit} -t {table} -I {chain} {} {spec}", rule.number),
            };
            evidence::remedy(ns, &delete, &undo, "")
        }
    }
}
