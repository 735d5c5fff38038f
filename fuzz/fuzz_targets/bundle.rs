//! Any octets as a bundle, and as the tar and the manifest within one: nothing panics, and what is read is of machines
//! that the manifest names.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = bundle::read(octets, "x");
    let _ = bundle::scrub(&String::from_utf8_lossy(octets));
    let Ok(packed) = zstd::encode_all(octets, 1) else { return };
    if let Ok(read) = bundle::read(&packed[..], "x") {
        assert_eq!(read.members.len(), read.manifest.machines.len());
        for member in &read.members {
            if let Ok(machine) = &member.outcome {
                assert_eq!(machine.netns.machine, member.name);
            }
        }
    }
});
