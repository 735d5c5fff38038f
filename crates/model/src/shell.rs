//! Commands as a person types them: names come from other programs, and inside an instance anybody may call a link
//! `;reboot`.

/// A path or a name as a shell reads it as one word.
pub fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,=@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A name among a command's operands, the first of them and behind all options: one that looks like an option has
/// before it what ends these, by POSIX's guideline 10, to which nova's, libvirt's and the system's own tools keep.
pub fn operand(name: &str) -> String {
    if name.starts_with('-') { format!("-- {}", word(name)) } else { word(name) }
}

/// A command as it must be typed to run in a namespace: by the name that it has under /run/netns, or as it is.
pub fn within(netns: Option<&str>, command: &str) -> String {
    match netns {
        Some(name) => format!("ip netns exec {} {command}", word(name)),
        None => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{operand, within, word};

    #[test]
    fn a_path_is_typed_so_that_a_shell_reads_it_as_one() {
        assert_eq!(word("/var/lib/nova/networks/nova-br100.conf"), "/var/lib/nova/networks/nova-br100.conf");
        assert_eq!(word("/a b;reboot"), "'/a b;reboot'");
        assert_eq!(word("/it's"), "'/it'\\''s'");
        assert_eq!(word("$(x)"), "'$(x)'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn a_name_is_no_option() {
        assert_eq!(operand("web1"), "web1");
        assert_eq!(operand("--help"), "-- --help");
        assert_eq!(operand("-$(x)"), "-- '-$(x)'");
        assert_eq!(operand("it's"), "'it'\\''s'");
    }

    #[test]
    fn a_namespace_is_a_word_too() {
        assert_eq!(within(None, "ip link"), "ip link");
        assert_eq!(within(Some("lab-compute1"), "ip link"), "ip netns exec lab-compute1 ip link");
        assert_eq!(within(Some("a;b"), "ip link"), "ip netns exec 'a;b' ip link");
    }
}
