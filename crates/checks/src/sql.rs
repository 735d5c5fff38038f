//! Values of the database in statements that a person types.

use model::finding::Remedy;

/// As a string of SQL, in quotes. `None` where it holds a backslash, which is the beginning of an escape to MySQL and a
/// letter to others, so that the string would not end where it must; or a control character, which a terminal obeys.
pub(crate) fn string(text: &str) -> Option<String> {
    let is_odd = text.chars().any(|c| c == '\\' || c.is_control());
    (!is_odd).then(|| format!("'{}'", text.replace('\'', "''")))
}

/// The repair by hopline itself, before the statements that do it by hand.
pub(crate) fn by_hopline(command: &str) -> Remedy {
    Remedy::by_hopline(command, "it stands for the statements below")
}

/// In place of a statement that cannot be typed for what this column holds.
pub(crate) fn untypable(column: &str) -> Remedy {
    Remedy {
        command: String::new(),
        undo: String::new(),
        note: format!("no statement for this row: its {column} has characters that no name has"),
    }
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn a_string_ends_where_it_must() {
        assert_eq!(string("o'neil").as_deref(), Some("'o''neil'"));
        assert_eq!(string("x\\' OR 1=1 -- "), None);
        assert_eq!(string("x\u{1b}[2K"), None);
    }
}
