//! Names in other letters. nova asks its database for the rows of a host, a project or an instance, and MySQL's usual
//! collation takes `Compute1`, or `compute1` with a blank behind it, for `compute1`: the row works there. So hosts,
//! projects and uuids are the same to us where no more than that differs, on every server: a cloud that was copied into
//! another database has no other faults there.
//!
//! What nova compares by itself (`vm_state`) has to be the very word.

use crate::cells::Cell;
use crate::database::Session;
use crate::schema::Schema;

/// Columns that hold an instance's uuid.
const UUIDS: [(&str, &str); 5] = [
    ("instances", "uuid"),
    ("fixed_ips", "instance_uuid"),
    ("virtual_interfaces", "instance_uuid"),
    ("security_group_instance_association", "instance_uuid"),
    ("instance_info_caches", "instance_uuid"),
];

/// How uuids are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uuids {
    /// As the columns do, by their indexes.
    AsTheyAre,
    /// By the indexes of what is looked for, all letters of which may be small or capital.
    InEitherCase,
    /// Whatever letters are capitals.
    Alike,
}

impl Uuids {
    /// nova writes them in small letters, and where they all are, as nearly everywhere, the columns' own comparison
    /// finds the same. MySQL's does so anyway.
    pub(super) async fn of(session: &mut Session, schema: &Schema) -> Result<Uuids, sqlx::Error> {
        if !schema.minds_capitals() {
            return Ok(Uuids::AsTheyAre);
        }
        let mut uuids = Uuids::AsTheyAre;
        for (table, column) in UUIDS.into_iter().filter(|(table, column)| schema.has(table, column)) {
            let text = schema.text(table, column);
            let sql = format!("SELECT '1' FROM {table} WHERE {text} <> LOWER({text}) LIMIT 1");
            session.each(sql, |_| uuids = Uuids::Alike).await?;
        }
        Ok(uuids)
    }
}

/// What nova's database would find by the other. NULL is nothing's name.
pub(super) fn same(name: &Cell, other: &Cell) -> bool {
    let trimmed = |cell: &Cell| cell.as_deref().map(|text| text.trim_end_matches(' ').to_owned());
    trimmed(name).zip(trimmed(other)).is_some_and(|(name, other)| name.eq_ignore_ascii_case(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_blanks_behind_them_make_no_other_name() {
        let cell = |text: &str| Some(text.to_owned());
        assert!(same(&cell("compute1"), &cell("Compute1  ")));
        assert!(!same(&cell("compute1"), &cell(" compute1")));
        assert!(!same(&cell("compute1"), &cell("compute10")));
        assert!(!same(&None, &None));
    }
}
