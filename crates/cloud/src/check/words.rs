//! Statements are written once, with words in braces for what differs between servers and nova's series.
//!
//! A table goes by its alias, one of [`TABLES`], with a digit behind it where a table stands twice:
//!
//! | word | means |
//! |---|---|
//! | `{f.address}` | the column as text; NULL where this series has none |
//! | `{raw f.host}` | the column as it is; NULL likewise |
//! | `{brief c.network_info}` | the column as text, NULL where it is longer than a cache can be |
//! | `{octets c.network_info}` | how long it is |
//! | `{scan f.network_id}` | the number, and no index is gone by |
//! | `{binary s}` | that column of `services`, whose name is a word of MySQL's |
//! | `{live f}` | the row is not deleted; one with NULL there is invisible to nova, and to us |
//! | `{gone i}` | the row, outer joined, is missing or deleted |
//! | `{yes f.allocated}`, `{no f.reserved}` | the flag is set, is not set |
//! | `{flag f.leased}` | the flag as text, `1` or `0`; NULL where it is neither |
//! | `{key f}`, `{key f as text}` | what ties a row to an instance: uuid, or the number that Essex used |
//! | `{tie i f}`, `{tie f i}` | the row is the instance's, see `letters`; the first of them is looked for |
//! | `{folded f.host}` | the name as it is compared, see `letters` |
//! | `{named f.host}`, `{unnamed f.host}` | the column has a name, has none |
//! | `{is i.vm_state active}` | the column has this word, letter for letter |
//! | `{name i}` | the name that people use |
//! | `{text EXPRESSION}` | any expression as text |
//! | `{expired f.updated_at}` | it is longer ago than nova's time-out, and a minute, or NULL, which nova's `<` misses |
//! | `{recent f.updated_at}` | it is less than a minute ago, or in the future of a clock that is ahead |
//! | `{needed f n}` | the address is one that the network itself needs, see `roles` |
//! | `{and f}` | ` AND` the row is one of those that are asked for, where not all are, see `those` |
//! | `{outside f n}` | the address may be outside the network's range; always true where the server cannot tell |

use super::caches::OCTETS_MAX;
use super::letters::Uuids;
use super::roles;
use super::those::Rows;
use crate::schema::{self, Dialect, Schema};

/// Tables by alias.
pub(super) const TABLES: [(&str, &str); 10] = [
    ("fl", "floating_ips"),
    ("f", "fixed_ips"),
    ("i", "instances"),
    ("v", "virtual_interfaces"),
    ("n", "networks"),
    ("s", "services"),
    ("g", "security_groups"),
    ("r", "security_group_rules"),
    ("m", "security_group_instance_association"),
    ("c", "instance_info_caches"),
];

/// Columns of `networks` that hold a range, to which its length belongs.
const RANGES: [&str; 2] = ["cidr", "cidr_v6"];

/// In so many seconds nova has applied a change of addresses on its hosts, and written the caches, which it does after
/// the rows.
const RECENT_S: u64 = 60;

/// For whom a statement is put into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The server: every column as text.
    Server,
    /// A person, who types it into the server's own client.
    People,
}

/// What a statement's words depend on.
pub(super) struct Words<'w> {
    pub(super) schema: &'w Schema,
    /// The time, as `YYYY-MM-DD HH:MM:SS` in UTC; the server's own where none is given.
    pub(super) now: Option<&'w str>,
    /// Seconds after which what was given back must be free.
    pub(super) expiry_s: u64,
    pub(super) uuids: Uuids,
    pub(super) reader: For,
    /// The rows that are asked for; all of them where none are named.
    pub(super) those: Option<&'w Rows>,
}

impl Words<'_> {
    /// The statement in this server's words.
    pub(super) fn of(&self, statement: &str) -> String {
        let mut text = String::with_capacity(statement.len() * 2);
        let mut rest = statement;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (word, after) = after.split_at(end_of_word(after));
            text.push_str(&self.word(word));
            rest = after.strip_prefix('}').unwrap_or(after);
        }
        text.push_str(rest);
        text
    }

    fn word(&self, word: &str) -> String {
        match word.split_once(' ') {
            None => self.shown(word),
            Some(("raw", column)) => self.column(column),
            Some(("brief", column)) => match self.reader {
                For::Server => {
                    let text = self.text(&self.column(column));
                    format!("CASE WHEN OCTET_LENGTH({column}) <= {OCTETS_MAX} THEN {text} END")
                }
                For::People => self.column(column),
            },
            // An older sqlite3 has no OCTET_LENGTH.
            Some(("octets", column)) => match self.reader {
                For::Server => self.text(&format!("OCTET_LENGTH({column})")),
                For::People => format!("LENGTH({column})"),
            },
            Some(("scan", column)) => self.scan(column),
            Some(("binary", alias)) => match self.schema.dialect {
                Dialect::MySql => format!("{alias}.`binary`"),
                Dialect::Postgres | Dialect::Sqlite => format!("{alias}.\"binary\""),
            },
            Some(("live", alias)) => self.live(alias),
            Some(("gone", alias)) => format!("({alias}.id IS NULL OR NOT ({}))", self.live(alias)),
            Some(("yes", flag)) => self.flag(flag, true),
            Some(("no", flag)) => self.flag(flag, false),
            Some(("flag", flag)) => match self.reader {
                For::Server => format!(
                    "CASE WHEN {} THEN '1' WHEN {} THEN '0' END",
                    self.flag(flag, true),
                    self.flag(flag, false)
                ),
                For::People => self.column(flag),
            },
            Some(("key", alias)) => match alias.strip_suffix(" as text") {
                Some(alias) => self.text(&self.key(alias)),
                None => self.key(alias),
            },
            Some(("tie", aliases)) => self.tie(aliases),
            Some(("folded", column)) => format!("LOWER(RTRIM({}))", self.column(column)),
            // The one may have an index; what is of blanks alone is a name to some servers.
            Some(("named", column)) => format!("({0} <> '' AND RTRIM({0}) <> '')", self.column(column)),
            Some(("unnamed", column)) => schema::unnamed(&self.column(column)),
            Some(("is", test)) => self.is(test),
            Some(("name", alias)) => {
                let names = ["hostname", "display_name"].map(|name| self.column(&format!("{alias}.{name}")));
                format!("COALESCE({})", names.map(|name| self.text(&name)).join(", "))
            }
            Some(("text", expression)) => self.text(&self.of(expression)),
            Some(("expired", column)) => self.expired(&self.column(column)),
            Some(("recent", column)) => {
                format!("COALESCE({}, 1 = 0)", self.long_ago(&self.column(column), '>', RECENT_S))
            }
            Some(("and", alias)) => {
                self.those.map_or(String::new(), |those| format!(" AND {}", those.condition(alias)))
            }
            Some(("needed", _)) => roles::needed(self.schema, "f.address", "n"),
            Some(("outside", _)) => self.outside().to_owned(),
            Some(_) => format!("{{{word}}}"),
        }
    }

    fn text(&self, expression: &str) -> String {
        match self.reader {
            For::Server => self.schema.as_text(expression),
            For::People => expression.to_owned(),
        }
    }

    /// The column as text. PostgreSQL writes an `inet` with its length, which is part of a network's range, and which
    /// nobody writes behind an address.
    fn shown(&self, column: &str) -> String {
        let type_of = |(alias, name): (&str, &str)| self.schema.cast_to(table(alias), name);
        match (
            self.reader,
            column.split_once('.').filter(|(_, name)| !RANGES.contains(name)).and_then(type_of),
        ) {
            (For::Server, Some("inet")) if self.schema.dialect == Dialect::Postgres => {
                format!("HOST({column})")
            }
            (For::Server | For::People, _) => self.text(&self.column(column)),
        }
    }

    fn column(&self, column: &str) -> String {
        let exists = |(alias, name): (&str, &str)| self.schema.has(table(alias), name);
        if column.split_once('.').is_some_and(exists) { column.to_owned() } else { "NULL".to_owned() }
    }

    /// Nearly every row is alive, and is found by no index quicker than by reading all of them.
    fn live(&self, alias: &str) -> String {
        let column = format!("{alias}.deleted");
        match self.schema.is_boolean(table(alias), "deleted") {
            Some(false) => format!("{} = 0", self.scan(&column)),
            Some(true) | None => self.flag(&column, false),
        }
    }

    fn scan(&self, column: &str) -> String {
        match self.reader {
            For::Server => self.schema.scanned(column),
            For::People => column.to_owned(),
        }
    }

    /// Always true of a flag that this series does not have.
    fn flag(&self, column: &str, wanted: bool) -> String {
        let boolean =
            column.split_once('.').and_then(|(alias, name)| self.schema.is_boolean(table(alias), name));
        match boolean {
            Some(true) => format!("{column} = {}", if wanted { "TRUE" } else { "FALSE" }),
            Some(false) => format!("{column} = {}", u8::from(wanted)),
            None => "1 = 1".to_owned(),
        }
    }

    fn key(&self, alias: &str) -> String {
        format!("{alias}.{}", self.schema.instance_key(table(alias)))
    }

    /// Every series ties the info caches by uuid.
    fn tie(&self, aliases: &str) -> String {
        let (sought, given) = aliases.split_once(' ').unwrap_or_default();
        let tied = if table(sought) == "instances" { given } else { sought };
        let own = match table(tied) {
            "instance_info_caches" => "uuid",
            table => self.schema.own_key_of(table),
        };
        let name = |alias: &str| {
            if table(alias) == "instances" { own } else { self.schema.instance_key(table(alias)) }
        };
        let are_text =
            [sought, given].into_iter().all(|alias| self.schema.is_uuid(table(alias), name(alias)));
        let uuids = match self.uuids {
            _ if own != "uuid" => Uuids::AsTheyAre,
            Uuids::InEitherCase if !are_text => Uuids::AsTheyAre,
            uuids => uuids,
        };
        let [sought, given] = [sought, given].map(|alias| format!("{alias}.{}", name(alias)));
        match uuids {
            Uuids::Alike => self.schema.alike(&sought, &given),
            Uuids::InEitherCase => self.schema.in_either_case(&sought, &given),
            Uuids::AsTheyAre => format!("{sought} = {given}"),
        }
    }

    /// MySQL's collations take other letters for the same, and octets for what they are.
    fn is(&self, test: &str) -> String {
        let (column, word) = test.split_once(' ').unwrap_or_default();
        let column = self.column(column);
        match self.schema.dialect {
            Dialect::MySql => format!("CAST({column} AS BINARY) = '{word}'"),
            Dialect::Postgres | Dialect::Sqlite => format!("{column} = '{word}'"),
        }
    }

    fn expired(&self, column: &str) -> String {
        // Without the column nobody knows.
        let or_never = if column == "NULL" { String::new() } else { format!(" OR {column} IS NULL") };
        format!("({}{or_never})", self.long_ago(column, '<', self.expiry_s))
    }

    /// The column is before, or after, the time so many seconds ago.
    fn long_ago(&self, column: &str, than: char, seconds: u64) -> String {
        let now = self.now.map(|now| format!("'{now}'"));
        match self.schema.dialect {
            Dialect::MySql => {
                let now = now.map_or("UTC_TIMESTAMP()".to_owned(), |now| format!("TIMESTAMP {now}"));
                format!("{column} {than} {now} - INTERVAL {seconds} SECOND")
            }
            Dialect::Postgres => {
                let now =
                    now.map_or("(now() AT TIME ZONE 'utc')".to_owned(), |now| format!("TIMESTAMP {now}"));
                format!("{column} {than} {now} - INTERVAL '{seconds} seconds'")
            }
            Dialect::Sqlite => {
                let now = now.as_deref().unwrap_or("'now'");
                format!("{column} {than} datetime({now}, '-{seconds} seconds')")
            }
        }
    }

    /// By the prefix of `cidr`: `netmask` may itself be wrong. What is no address is not inside either.
    fn outside(&self) -> &'static str {
        match self.schema.dialect {
            Dialect::MySql => {
                "NOT COALESCE((INET_ATON(f.address) >> (32 - SUBSTRING_INDEX(n.cidr, '/', -1))) = \
                 (INET_ATON(SUBSTRING_INDEX(n.cidr, '/', 1)) >> (32 - SUBSTRING_INDEX(n.cidr, '/', -1))), FALSE)"
            }
            // Of text it would refuse the whole statement for one that is no address.
            Dialect::Postgres if self.are_addresses() => "NOT COALESCE(f.address <<= n.cidr, FALSE)",
            Dialect::Postgres | Dialect::Sqlite => "1 = 1",
        }
    }

    /// PostgreSQL itself knows them as addresses and prefixes, as nova makes its columns there.
    fn are_addresses(&self) -> bool {
        let is_one = |table, column| matches!(self.schema.cast_to(table, column), Some("inet" | "cidr"));
        is_one("fixed_ips", "address") && is_one("networks", "cidr")
    }
}

/// The columns that a statement speaks of, with their tables: `f.address`, in a word or beside one.
pub(super) fn columns(statement: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
    let names = statement.split(move |letter| !is_of_name(letter)).filter_map(|name| name.split_once('.'));
    names.map(|(alias, column)| (table(alias), column)).filter(|(table, _)| !table.is_empty())
}

/// Where a word's closing brace is: one with words in it has several.
fn end_of_word(text: &str) -> usize {
    let mut depth = 0_usize;
    let closes = |(_, letter): &(usize, char)| {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return true,
            '}' => depth -= 1,
            _ => {}
        }
        false
    };
    text.char_indices().find(closes).map_or(text.len(), |(at, _)| at)
}

/// The table of an alias; empty for none.
pub(super) fn table(alias: &str) -> &'static str {
    let alias = alias.trim_end_matches(|c: char| c.is_ascii_digit());
    TABLES.iter().find(|(known, _)| *known == alias).map_or("", |(_, table)| table)
}
