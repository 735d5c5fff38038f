//! A Galera cluster: each of its nodes is written to, and rows are locked on one node alone.

use crate::cells::Cell;
use crate::connection::Connection;
use crate::database::Session;

/// What is to be known there. Of a row that two nodes change at once, the cluster refuses the commit that comes second
/// (certification, error 1213); a row that is only locked is in no write set, so that nobody is refused for its sake.
const NOTE: &str = "this server is a node of a Galera cluster, where rows are locked on one node alone: name the node \
                    that nova writes to, since what another does at the same moment to the fixed IP or the instance \
                    behind the row is not kept from it";

/// Adds it to a note where the session is a node's.
pub(super) async fn noted(session: &mut Session, note: String) -> Result<String, sqlx::Error> {
    let Connection::MySql(_) = session.0 else { return Ok(note) };
    // MySQL has no such variable, and MariaDB has it whether or not it is in a cluster.
    let sql = "SHOW SESSION VARIABLES LIKE 'wsrep_on'";
    let told: Vec<[Cell; 2]> = session.rows(sql.to_owned()).await?;
    Ok(if is_on(&told) { format!("{note}; {NOTE}") } else { note })
}

fn is_on(told: &[[Cell; 2]]) -> bool {
    told.iter().any(|[_, value]| value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("ON")))
}

#[cfg(test)]
mod tests {
    use super::is_on;

    #[test]
    fn a_server_on_its_own_is_no_node() {
        let told = |value: &str| vec![[Some("wsrep_on".to_owned()), Some(value.to_owned())]];
        assert!(is_on(&told("ON")));
        assert!(!is_on(&told("OFF")));
        assert!(!is_on(&[]));
    }
}
