//! What once fared otherwise than said, kept: the site as it was read, the packet, and what the kernel did.
//! Replays without root.

use std::path::PathBuf;

use selftest::Fixture;

#[test]
fn what_was_learned_from_the_kernel_stays_learned() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    let mut offences = Vec::new();
    for file in files {
        let fixture = Fixture::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if let Err(told) = fixture.holds() {
            offences.push(format!("{}: {}\n{told}", file.display(), fixture.note));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n\n"));
}
