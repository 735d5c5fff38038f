//! Why nothing was changed, or why nobody knows whether it was.

use std::net::Ipv4Addr;

use model::shell;
use thiserror::Error;

use super::record::RecordError;
use crate::database_error::DatabaseError;

/// Why a row was not put right. But for [`MendError::Uncertain`], nothing was changed.
#[derive(Debug, Error)]
pub enum MendError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The undo record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The table knows no transactions: what is changed in it is changed at once.
    #[error(
        "{table} is a table of {engine}, which has no transactions: a change could not be taken back as a whole; \
         move it to InnoDB (ALTER TABLE {table} ENGINE=InnoDB), or run the statement by hand"
    )]
    NoTransactions {
        /// It.
        table: String,
        /// Its storage engine.
        engine: String,
    },
    /// No live row has the address.
    #[error("the database has no floating IP {address}")]
    NoFloating {
        /// It.
        address: Ipv4Addr,
    },
    /// Several live rows have the address.
    #[error(
        "rows {} of floating_ips all have the address {address}: {instead}",
        .rows.join(", ")
    )]
    FloatingTwice {
        /// It.
        address: Ipv4Addr,
        /// Their ids.
        rows: Vec<String>,
        /// What is typed first.
        instead: String,
    },
    /// It is in use.
    #[error(
        "floating IP {address} is on {instance}, which lives: \
         take it off through nova (`nova floating-ip-disassociate {} {address}`), which tells the host, too",
        shell::operand(.instance)
    )]
    Lives {
        /// It.
        address: Ipv4Addr,
        /// Whose.
        instance: String,
    },
    /// It is as it would be.
    #[error("floating IP {address} is {what} already: nothing to do")]
    Free {
        /// It.
        address: Ipv4Addr,
        /// What it would become.
        what: &'static str,
    },
    /// No such finding.
    #[error("`{code}` is no finding of the database; `hopline db check` tells those that there are")]
    UnknownCode {
        /// What was given.
        code: String,
    },
    /// Nothing that can be done by itself.
    #[error("no statement puts {code} right in row {row} by itself; type `{instead}` ({note})")]
    NoStatement {
        /// The finding.
        code: String,
        /// The row.
        row: u64,
        /// What is typed for it.
        instead: String,
        /// What is to be known about it.
        note: &'static str,
    },
    /// What a host has is not in the database.
    #[error(
        "{code} is of what a host has, and of no row of the database: `hopline db check` tells which, and what is \
         typed for each, there: `{instead}` ({note})"
    )]
    OfHosts {
        /// The finding.
        code: String,
        /// What is typed, without the names.
        instead: String,
        /// What is to be known about it.
        note: &'static str,
    },
    /// This database, or this row, does not allow it.
    #[error("{code} cannot be put right in row {row}: {why}")]
    Unsayable {
        /// The finding.
        code: String,
        /// The row.
        row: u64,
        /// Why.
        why: String,
    },
    /// The finding is not there.
    #[error("row {row} of {table} has no {code}: `hopline db check` tells the rows that have")]
    NotFound {
        /// The finding.
        code: String,
        /// Its table.
        table: &'static str,
        /// The row.
        row: u64,
    },
    /// The finding is there, and its repair would not be safe in this row.
    #[error(
        "{code} cannot be put right in row {row} as it is: the repair's own conditions do not hold there, since \
         somebody uses it or it is another row by now; see `hopline explain {code}`"
    )]
    Guarded {
        /// The finding.
        code: String,
        /// The row.
        row: u64,
    },
    /// A floating IP hangs on the row, and would lead to whoever gets it next.
    #[error(
        "{code} is not put right in row {row} yet: floating IP {} hangs on it, and would lead to whoever has that \
         address next: `hopline db release {}` first",
        .addresses.join(", "), .addresses.first().map_or("ADDRESS", String::as_str)
    )]
    FloatingHangs {
        /// The finding.
        code: String,
        /// The row.
        row: u64,
        /// Whose, by ascending id of their rows.
        addresses: Vec<String>,
    },
    /// The network itself needs the address.
    #[error(
        "row {row} stays reserved: {address} is the {role} of its network, and must not be given out: \
         give the instance another address through nova (`nova add-fixed-ip`, `nova remove-fixed-ip`)"
    )]
    KeptBack {
        /// The row.
        row: u64,
        /// Its address.
        address: String,
        /// What for.
        role: &'static str,
    },
    /// Somebody changed it meanwhile.
    #[error("row {row} of {table} changed while it was looked at: nothing was changed, look again")]
    Moved {
        /// Its table.
        table: String,
        /// The row.
        row: u64,
    },
    /// A trigger, or a column that the server fills in, makes another row of it than was told.
    #[error(
        "row {row} of {table} would not become what is told: {columns} would change, too, by a trigger or by the \
         column's own rule; nothing was changed. Type the statement in the database's own client, if that is meant"
    )]
    NotAsTold {
        /// Its table.
        table: String,
        /// The row.
        row: u64,
        /// Which come out otherwise.
        columns: String,
    },
    /// The same of a row that is restored.
    #[error(
        "row {row} of {table} would not become what it was before {id}: {columns} would come out differently, by a \
         trigger or by the column's own rule; nothing was changed. Where that is meant, type the old values in the \
         database's own client"
    )]
    NotAsBefore {
        /// The record.
        id: String,
        /// Its table.
        table: String,
        /// The row.
        row: u64,
        /// Which come out otherwise.
        columns: String,
    },
    /// The server refused the commit.
    #[error("the database took the change back instead of committing it: {why}; nothing was changed")]
    TakenBack {
        /// The server's reason.
        why: String,
    },
    /// It changed since.
    #[error(
        "row {row} of {table} changed after {id} was applied ({columns}): nothing was changed, \
         since what others wrote would be lost"
    )]
    ChangedSince {
        /// The record.
        id: String,
        /// Its table.
        table: String,
        /// The row.
        row: u64,
        /// Which of its columns.
        columns: String,
    },
    /// The row is as it was left, and what its old values lean on is not.
    #[error(
        "row {row} of {table} is as {id} left it, and what it had before means something else by now ({what}): \
         nothing was changed"
    )]
    GivenElsewhere {
        /// The record.
        id: String,
        /// Its table.
        table: String,
        /// The row.
        row: u64,
        /// What, how it was and how it is.
        what: String,
    },
    /// There is nothing to take back.
    #[error("{id} is not in the database: {why}")]
    NotApplied {
        /// The record.
        id: String,
        /// Why.
        why: &'static str,
    },
    /// The record is of another database.
    #[error("{id} was applied to {theirs}, and the site file names {ours}")]
    OtherDatabase {
        /// The record.
        id: String,
        /// Where it was applied.
        theirs: String,
        /// What is named now.
        ours: String,
    },
    /// The connection ended in the commit.
    #[error(
        "whether {id} was committed is not known ({why}): `hopline db undo` lists it with what the row has now, and \
         `hopline db undo {id}` restores the row where it was changed"
    )]
    Uncertain {
        /// The record.
        id: String,
        /// The server's reason.
        why: String,
    },
}
