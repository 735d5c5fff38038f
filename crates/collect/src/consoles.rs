//! What instances print on their consoles, as libvirt writes it: FOLDER/INSTANCE/console.log.

use std::io::ErrorKind;
use std::path::Path;

use model::few;
use model::service::Console;
use model::snapshot::Gap;

use crate::files;
use crate::gaps::gap;
use crate::kept::Kept;

/// What is read of a console.
const CONSOLE_TAIL: u64 = 100 * 1024;
/// What is handed on of it: a thousand of them are to fit in a mail.
const CONSOLE_KEPT: usize = 32 * 1024;
/// Entries of the folder: ten times what a large host has, whose images and locks lie there too.
const ENTRIES_MAX: usize = 10_000;

/// The consoles in a folder, by their instances. A folder without one is none's, or that of an instance that never ran.
pub(crate) fn read(folder: &Path, kept: Kept<'_>, gaps: &mut Vec<Gap>) -> Vec<(String, Console)> {
    within(folder, ENTRIES_MAX, kept, gaps)
}

fn within(folder: &Path, entries_max: usize, kept: Kept<'_>, gaps: &mut Vec<Gap>) -> Vec<(String, Console)> {
    let shown = folder.display();
    // One more, which is left out, tells that there are more.
    let mut paths = match files::entries(folder, entries_max + 1) {
        Ok(paths) => paths,
        Err(error) => {
            gaps.push(gap(shown.to_string(), error, format!("read access to {shown}")));
            return Vec::new();
        }
    };
    if paths.len() > entries_max {
        paths.truncate(entries_max);
        let why = format!("{shown} has more than {entries_max} entries, and the rest is not looked at");
        gaps.push(gap(format!("some of the consoles in {shown}"), why, "the console.log of the instance"));
    }
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for instance in &paths {
        let path = instance.join("console.log");
        let Some(name) = instance.file_name().and_then(|name| name.to_str()) else { continue };
        match files::tail_behind_no_link(&path, CONSOLE_TAIL) {
            Ok((text, length)) => {
                let last = last_lines(&text, CONSOLE_KEPT);
                // They are as long as each other where nothing is left out.
                if last.len() == text.len() && length <= CONSOLE_TAIL {
                    kept.file(&path, last);
                } else {
                    kept.file(&path, &(files::note_of_tail(CONSOLE_KEPT as u64, length) + last));
                }
                read.push((name.to_owned(), parse::console::parse(&path.display().to_string(), &text)));
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => unread.push((path.display().to_string(), error.to_string())),
        }
    }
    gaps.extend(untold(&unread));
    read
}

/// Consoles that are there and could not be read, in one gap: a user without rights may read none of a thousand.
fn untold(unread: &[(String, String)]) -> Option<Gap> {
    unread.first()?;
    let (paths, mut reasons): (Vec<String>, Vec<String>) = unread.iter().cloned().unzip();
    reasons.sort();
    reasons.dedup();
    let named = few::named(&paths);
    Some(gap(format!("what instances said in {named}"), few::named(&reasons), "root, or read access to them"))
}

/// The last `bytes_max` bytes of a text, from the start of a line.
fn last_lines(text: &str, bytes_max: usize) -> &str {
    let from = text.len().saturating_sub(bytes_max);
    let from = if from == 0 {
        Some(0)
    } else {
        text.bytes().skip(from).position(|b| b == b'\n').map(|at| from + at + 1)
    };
    from.and_then(|from| text.get(from..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::kept::NOTHING;

    /// A folder of nova's with so many instances, beside the images and locks that it keeps there.
    fn instances(tag: &str, count: usize) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("hopline-consoles-{tag}-{}", std::process::id()));
        for other in ["_base", "locks", "snapshots"] {
            fs::create_dir_all(folder.join(other)).unwrap();
        }
        fs::write(folder.join("compute_nodes"), "{}").unwrap();
        for nth in 0..count {
            let instance = folder.join(format!("instance-{nth:08x}"));
            fs::create_dir(&instance).unwrap();
            fs::write(instance.join("console.log"), "login:\n").unwrap();
        }
        folder
    }

    fn all(folder: &Path, entries_max: usize) -> (Vec<String>, Vec<Gap>) {
        let mut gaps = Vec::new();
        let kept = Kept { machine: "compute1", keep: NOTHING };
        let read = within(folder, entries_max, kept, &mut gaps);
        fs::remove_dir_all(folder).unwrap();
        (read.into_iter().map(|(name, _)| name).collect(), gaps)
    }

    #[test]
    fn a_host_of_more_than_a_thousand_instances_has_all_its_consoles() {
        let (read, gaps) = all(&instances("all", 1_300), ENTRIES_MAX);
        assert_eq!((read.len(), gaps), (1_300, Vec::new()));
    }

    #[test]
    fn more_than_are_looked_at_are_told() {
        let (read, gaps) = all(&instances("more", 20), 10);
        assert!(read.len() <= 10 && gaps.len() == 1, "{gaps:?}");
        assert!(gaps[0].what.starts_with("some of the consoles in /"), "{gaps:?}");
    }

    #[test]
    fn consoles_that_cannot_be_read_are_told_in_one_gap() {
        let folder = instances("unread", 9);
        for nth in 1..9 {
            let console = folder.join(format!("instance-{nth:08x}/console.log"));
            fs::remove_file(&console).unwrap();
            if nth < 5 {
                symlink("/etc/passwd", &console).unwrap();
            } else {
                fs::create_dir(&console).unwrap();
            }
        }
        let (read, gaps) = all(&folder, ENTRIES_MAX);
        assert_eq!((read, gaps.len()), (vec!["instance-00000000".to_owned()], 1));
        assert!(gaps[0].what.contains("/instance-00000001/console.log"), "{gaps:?}");
        assert!(gaps[0].why.contains("regular file") && gaps[0].why.contains("symbolic links"), "{gaps:?}");
    }
}
