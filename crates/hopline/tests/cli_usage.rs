//! The command line itself: help, wrong flags, pipes that close.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cli_support;

use std::process::Stdio;

use cli_support::{assert_refused, command, hopline, read};

fn help(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let run = hopline(folder.path(), arguments);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.stderr, "");
    run.stdout
}

#[test]
fn help_of_hopline() {
    insta::assert_snapshot!(help(&["--help"]));
}

#[test]
fn help_of_check() {
    insta::assert_snapshot!(help(&["check", "--help"]));
}

#[test]
fn help_of_path() {
    insta::assert_snapshot!(help(&["path", "--help"]));
}

#[test]
fn help_of_diagnose() {
    insta::assert_snapshot!(help(&["diagnose", "--help"]));
}

#[test]
fn help_of_collect() {
    insta::assert_snapshot!(help(&["collect", "--help"]));
}

#[test]
fn help_of_correlate() {
    insta::assert_snapshot!(help(&["correlate", "--help"]));
}

#[test]
fn help_of_capture() {
    insta::assert_snapshot!(help(&["capture", "--help"]));
}

#[test]
fn help_of_explain() {
    insta::assert_snapshot!(help(&["explain", "--help"]));
}

#[test]
fn help_of_db() {
    insta::assert_snapshot!(help(&["db", "check", "--help"]));
    let own = |command: &str| {
        let text = help(&["db", command, "--help"]);
        text.split("\nGlobal options:").next().unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!("help_of_db_changes", ["show", "release", "repair", "undo"].map(own).join("\n"));
}

#[test]
fn help_of_lab() {
    insta::assert_snapshot!(help(&["lab", "--help"]));
}

#[test]
fn help_of_completions() {
    insta::assert_snapshot!(help(&["completions", "--help"]));
}

#[test]
fn help_of_man() {
    insta::assert_snapshot!(help(&["man", "--help"]));
}

/// This command and those below it, as the help lists them.
fn commands(command: &[&str]) -> Vec<String> {
    let told = help(&[command, &["--help"]].concat());
    let (_, listed) = told.split_once("\nCommands:\n").unwrap_or_default();
    // A description that goes on is indented further.
    let entries =
        listed.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names =
        entries.filter(|entry| !entry.starts_with(' ')).filter_map(|entry| entry.split_whitespace().next());
    let below = names.flat_map(|name| commands(&[command, &[name]].concat()));
    [command.join(" ")].into_iter().chain(below).collect()
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let all = commands(&[]);
    for known in ["", "check", "diagnose", "lab up", "lab secgroup rule add", "db check"] {
        assert!(all.contains(&known.to_owned()), "{known}: {all:?}");
    }
    for command in &all {
        let words = ["man"].into_iter().chain(command.split_whitespace());
        let run = hopline(folder.path(), &words.collect::<Vec<_>>());
        let name = format!("hopline {command}").trim().replace(' ', "-");
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}");
        assert!(run.stdout.contains(&format!(".TH {name} 1")), "{command}: {}", run.stdout);
        assert!(run.stdout.contains(".SH OPTIONS"), "{command}: {}", run.stdout);
        // Whatever asks how it ended finds it on the page.
        let codes = ["0  looked", "1  at least", "2  the command line", "3  undetermined"];
        assert!(codes.iter().all(|code| run.stdout.contains(code)), "{command}: {}", run.stdout);
    }
    assert_refused(
        &hopline(folder.path(), &["man", "lab", "upp"]),
        &["no command `upp`", "did you mean `up`?"],
    );
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let script = hopline(folder.path(), &["completions", "bash"]);
    assert_eq!((script.code, script.stderr.as_str()), (0, ""));
    let file = folder.path().join("hopline.bash");
    std::fs::write(&file, script.stdout).unwrap();
    let ask = "source \"$0\"; COMP_WORDS=(hopline \"$1\" \"$2\"); COMP_CWORD=2; _hopline hopline \"$2\" \"$1\"; \
               echo \"${COMPREPLY[*]}\"";
    let completed = |command: &str, start: &str| {
        let run =
            std::process::Command::new("bash").args(["-c", ask]).arg(&file).args([command, start]).output();
        String::from_utf8(run.unwrap().stdout).unwrap()
    };
    assert_eq!(completed("lab", "stat").trim(), "status");
    assert_eq!(completed("diagnose", "--ht").trim(), "--html");
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let run = hopline(folder.path(), &["completions", shell]);
        assert!(run.code == 0 && run.stdout.contains("html"), "{shell}");
    }
}

#[test]
fn pages_are_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 3] = [
        (&["check", "--html", "no/such/folder/page.html"], "cannot write no/such/folder/page.html"),
        (&["check", "--html", "one", "--svg", "one"], "`--html` and `--svg` name one file"),
        (&["check", "--html", "one", "--svg", "./one"], "`--html` and `--svg` name one file"),
    ];
    for (arguments, message) in cases {
        assert_refused(&hopline(folder.path(), arguments), &[message]);
    }
}

#[test]
fn wrong_command_lines_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 13] = [
        (&["diagnose", "web1", "--jsn"], "unexpected argument '--jsn'"),
        (&["--\x1b[31mred\u{202e}"], "unexpected argument"),
        (&["diagnos"], "unrecognized subcommand 'diagnos'"),
        (&["diagnose"], "<INSTANCE>"),
        (&["diagnose", "web1", "--all"], "cannot be used with"),
        (&["check", "--json", "--minimal"], "cannot be used with"),
        (&["check", "--timeout", "soon"], "expected a number and a unit"),
        (&["diagnose", "web1", "--symptom", "smell"], "invalid value 'smell'"),
        (&["path", "web1", "1.2.3.4", "--proto", "tcp"], "`--proto tcp` needs `--port`"),
        (&["path", "web1", "1.2.3.4", "--port", "22"], "`--port` needs `--proto tcp` or `--proto udp`"),
        (&["capture", "--no-journeys", "--html", "page.html"], "cannot be used with"),
        (&["lab", "break"], "<ID>"),
        (&["explain", "no-such\x1b[2Jcode"], "there is no finding `no-such\\u{1b}[2Jcode`"),
    ];
    for (arguments, message) in cases {
        assert_refused(&hopline(folder.path(), arguments), &[message]);
    }
}

#[test]
fn without_a_command_the_help_is_shown_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let run = hopline(folder.path(), &[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    // Help, not an error: nothing wrong was typed.
    assert!(run.stderr.starts_with("Follows a cloud instance's packets"), "{run:?}");
    assert!(run.stderr.contains("Usage: hopline") && run.stderr.contains("diagnose"), "{run:?}");
}

/// Folded for people alone: a program that reads a listing gets a line for each, and the same words.
#[test]
fn listings_fit_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for arguments in [&["explain"][..], &["lab", "faults"]] {
        let whole = hopline(folder.path(), arguments).stdout;
        assert!(whole.lines().all(|line| !line.starts_with(' ')), "{whole}");
        for columns in ["80", "200"] {
            let output = command(folder.path()).args(arguments).env("COLUMNS", columns).output().unwrap();
            let told = read(output).stdout;
            let most = columns.parse().unwrap();
            let over: Vec<&str> = told.lines().filter(|line| line.chars().count() > most).collect();
            assert_eq!(over, Vec::<&str>::new(), "{arguments:?} at {columns}");
            assert_eq!(words(&told), words(&whole), "{arguments:?} at {columns}");
            let rows = told.lines().filter(|line| !line.starts_with(' ')).count();
            assert_eq!(rows, whole.lines().count(), "{arguments:?} at {columns}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["explain"], ["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output =
            command(folder.path()).args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let run = read(output);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn explain_lists_every_code_and_shows_each_page() {
    let folder = tempfile::tempdir().unwrap();
    let list = hopline(folder.path(), &["explain"]);
    assert_eq!(list.code, 0);
    let codes: Vec<&str> = list.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(!codes.is_empty());
    for code in codes {
        let page = hopline(folder.path(), &["explain", code]);
        assert_eq!(page.code, 0, "{code}");
        assert!(page.stdout.starts_with('#'), "{code}: {}", page.stdout);
    }
}
