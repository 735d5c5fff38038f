//! Dumps of arptables: what `arptables-nft-save` prints, with or without `-c`, and what
//! `arptables-legacy -L -n -v` lists (the legacy save script asks whichever tool is called `arptables`).
//!
//! A target stands before the conditions and its options behind them. Every rule of both also asks for
//! Ethernet and IPv4, which is not printed: no imagined ARP packet is of anything else.

use model::netfilter::{AddressOf, BaseChain, ChainKind, Dialect, Family, Field, Hook, Match, Table, Test};

use crate::Parsed;
use crate::iptables_save::dump::{self, ChainLine};

mod rule;

/// Reads what `arptables-nft-save` prints.
pub fn parse(text: &str) -> Parsed<Vec<Table>> {
    read(text, Dialect::ArptablesNft)
}

/// Reads what `arptables-legacy -L -n -v` lists of table filter.
pub fn parse_list(text: &str) -> Parsed<Vec<Table>> {
    let mut save = "*filter\n".to_owned();
    let mut chain = String::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("Chain ") {
            let (name, rest) = head.split_once(' ').unwrap_or((head, ""));
            name.clone_into(&mut chain);
            let mut words = rest.trim_matches(['(', ')']).split(' ');
            let policy = if words.next() == Some("policy") { words.next().unwrap_or("-") } else { "-" };
            save.push_str(&format!(":{name} {policy}"));
        } else if !line.trim().is_empty() {
            save.push_str(&as_saved(&chain, line));
        }
        save.push('\n');
    }
    let mut read = read(&save, Dialect::ArptablesLegacy);
    // The first line was put in front of the listing's.
    let rules = read.value.iter_mut().flat_map(|t| &mut t.chains).flat_map(|c| &mut c.rules);
    rules.for_each(|rule| rule.line = rule.line.saturating_sub(1));
    read.problems.iter_mut().for_each(|problem| problem.line = problem.line.saturating_sub(1));
    read
}

/// `-j DROP -i * -o * -s 10.0.0.9 , pcnt=0 -- bcnt=0` as a dump has it: any link is not said.
fn as_saved(chain: &str, line: &str) -> String {
    let (options, counters) = line.rsplit_once(", pcnt=").unwrap_or((line, ""));
    let options: String = options.replace("-i * ", "").replace("-o * ", "");
    let text = format!("-A {chain} {}", options.trim());
    match counters.trim().split_once(" -- bcnt=") {
        Some((packets, bytes)) => format!("[{packets}:{bytes}] {text}"),
        None => text,
    }
}

fn read(text: &str, dialect: Dialect) -> Parsed<Vec<Table>> {
    let Parsed { value: sections, mut problems } = dump::sections(text);
    let mut tables = Vec::new();
    for section in &sections {
        let names = section.names();
        let built = dump::table(section, (Family::Arp, dialect), base_chain, |line, problems| {
            rule::read(line, &names, problems)
        });
        tables.push(built.value);
        problems.extend(built.problems);
    }
    problems.sort_by_key(|p| (p.line, p.column));
    Parsed { value: tables, problems }
}

/// Where the kernel hangs the chains of table filter (`net/ipv4/netfilter/arptable_filter.c`; iptables'
/// `nft.c`, `xtables_arp`, has no FORWARD).
fn base_chain(chain: &ChainLine<'_>) -> Option<BaseChain> {
    let hook = match chain.name {
        "INPUT" => Hook::Input,
        "OUTPUT" => Hook::Output,
        "FORWARD" => Hook::Forward,
        _ => return None,
    };
    Some(BaseChain {
        hook,
        priority: 0,
        kind: ChainKind::Filter,
        policy: dump::policy(chain.policy)?,
        policy_counters: chain.counters,
        devices: Vec::new(),
    })
}

/// Puts right what `arptables-nft-save` leaves out: iptables 1.8.9 prints nothing of a hardware address
/// under a mask of whole octets, unless negated. `kernel` are the same tables as nft lists them; each
/// rule gets its handle from there, and the conditions of hardware addresses that it lacks.
///
/// # Errors
///
/// Where the two do not have the same rules; the tables are then as they were.
pub fn put_right(saved: &mut [Table], kernel: &[Table]) -> Result<(), String> {
    let twin = |table: &Table| kernel.iter().find(|t| t.family == table.family && t.name == table.name);
    for table in saved.iter() {
        for chain in &table.chains {
            let theirs = twin(table).and_then(|t| t.chain(&chain.name)).map_or(0, |c| c.rules.len());
            if theirs != chain.rules.len() {
                let (name, ours) = (&chain.name, chain.rules.len());
                return Err(format!("chain {name} has {ours} rules by arptables and {theirs} by nft"));
            }
        }
    }
    for table in saved {
        let Some(twin) = twin(table) else { continue };
        for chain in &mut table.chains {
            let theirs = twin.chain(&chain.name).map(|c| c.rules.as_slice()).unwrap_or_default();
            for (rule, theirs) in chain.rules.iter_mut().zip(theirs) {
                rule.handle = theirs.handle;
                let has = |end| rule.matches.iter().any(|m| hardware_address(m) == Some(end));
                let (source, destination) = (has(AddressOf::Source), has(AddressOf::Destination));
                let lacking = theirs.matches.iter().filter(|m| match hardware_address(m) {
                    Some(AddressOf::Source) => !source,
                    Some(AddressOf::Destination) => !destination,
                    None => false,
                });
                rule.matches.extend(lacking.cloned());
            }
        }
    }
    Ok(())
}

/// Whose hardware address a condition is of, be it understood or not.
fn hardware_address(condition: &Match) -> Option<AddressOf> {
    match &condition.test {
        Test::ArpSourceMac(..) => Some(AddressOf::Source),
        Test::ArpTargetMac(..) => Some(AddressOf::Destination),
        Test::Field { field: Field::ArpEther(of), .. } => Some(*of),
        Test::Unmodelled(text) if text.contains("saddr ether") => Some(AddressOf::Source),
        Test::Unmodelled(text) if text.contains("daddr ether") => Some(AddressOf::Destination),
        _ => None,
    }
}
