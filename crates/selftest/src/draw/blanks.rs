//! Filling the blanks of a word's text.

use std::net::IpAddr;

use super::Pool;
use crate::random::Random;
use crate::words::{Language, Version};

/// What a word is filled in for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blanks<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) language: Language,
    pub(crate) version: Version,
    /// The rule's protocol, where it has one: `tcp`.
    pub(crate) protocol: Option<&'static str>,
    /// The table is of nft's inet family, where NAT must be told the IP version.
    pub(crate) inet: bool,
}

/// The text with every blank filled; `None` where the case has nothing to fill one with.
pub(crate) fn fill(text: &str, random: &mut Random, blanks: &Blanks<'_>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let (blank, after) = after.split_once('>')?;
        out.push_str(&one(blank, random, blanks)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn one(blank: &str, random: &mut Random, blanks: &Blanks<'_>) -> Option<String> {
    let Blanks { pool, language, version, protocol, inet } = *blanks;
    let is_v6 = version == Version::V6;
    Some(match blank {
        "!" => match (random.one_in(3), language) {
            (false, _) => String::new(),
            (true, Language::Nft) => "!= ".to_owned(),
            (true, _) => "! ".to_owned(),
        },
        "net" => pool.net(random, version)?.to_string(),
        "whole net" => pool.whole_net(random, version)?.to_string(),
        "host" => pool.host(random, version)?.to_string(),
        "[host]" => match pool.host(random, version)? {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        },
        "range" => {
            let (one, other) = (pool.host(random, version)?, pool.host(random, version)?);
            format!("{}-{}", one.min(other), one.max(other))
        }
        "mac" => pool.mac(random)?.to_string(),
        "link" => pool.link(random)?.to_owned(),
        "stem" => pool.link(random)?.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(),
        "port" => pool.port(random)?.to_owned(),
        "bridge" => pool.bridge(random)?.to_owned(),
        "proto" => protocol?.to_owned(),
        "ip" => if is_v6 { "ip6" } else { "ip" }.to_owned(),
        "v" => if is_v6 { "6" } else { "4" }.to_owned(),
        "inet6" => if is_v6 { "inet6" } else { "inet" }.to_owned(),
        "address" => if is_v6 { "ipv6_addr" } else { "ipv4_addr" }.to_owned(),
        "inet" if inet => if is_v6 { "ip6 " } else { "ip " }.to_owned(),
        "inet" => String::new(),
        choices => {
            let choices: Vec<String> = split(choices);
            random.pick(&choices)?.clone()
        }
    })
}

/// Splits at bars that no backslash precedes.
fn split(choices: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut letters = choices.chars();
    while let Some(letter) = letters.next() {
        let (letter, ends) = match letter {
            '\\' => (letters.next().unwrap_or('\\'), false),
            letter => (letter, letter == '|'),
        };
        if ends {
            out.push(String::new());
        } else if let Some(last) = out.last_mut() {
            last.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_part_choices_unless_escaped() {
        assert_eq!(split(r"a|(b \| c)|"), ["a", "(b | c)", ""]);
    }
}
