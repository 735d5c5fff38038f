//! Writes four captures and the key to what is planted in them: `captures DIR PACKETS SEED [ALONE]`.
//!
//! DIR gets `tap.pcap`, `uplink.pcap`, `router.pcap`, `server.pcap` and `key.json`. With ALONE, that packet
//! alone is lost and none is duplicated. See `tests/support/generate.rs` for what they are of.

#[path = "../tests/support/generate.rs"]
mod generate;

use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use generate::{AHEAD_NS, NAMES, Plan};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, packets, seed, alone @ ..] = arguments.as_slice() else {
        return Err("expected DIR PACKETS SEED [ALONE]".into());
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    let lost_alone = alone.first().map(|number| number.parse()).transpose()?;
    let (lost_in, duplicated_in) = if lost_alone.is_some() { (0, 0) } else { (1000, 100) };
    let plan = Plan { seed: seed.parse()?, packets: packets.parse()?, lost_in, duplicated_in, lost_alone };
    let open = |name: &str| File::create(folder.join(format!("{name}.pcap"))).map(BufWriter::new);
    let [mut a, mut b, mut c, mut d] = [open(NAMES[0])?, open(NAMES[1])?, open(NAMES[2])?, open(NAMES[3])?];
    let key = generate::generate(&plan, [&mut a, &mut b, &mut c, &mut d])?;
    let lost = key
        .lost
        .iter()
        .map(|(last, frame, expected)| format!("[\"{}\", {frame}, \"{}\"]", NAMES[*last], NAMES[*expected]));
    let ahead = NAMES.iter().zip(AHEAD_NS).map(|(name, ns)| format!("\"{name}\": {ns}"));
    let text = format!(
        "{{\"duplicates\": {}, \"ahead_ns\": {{{}}}, \"lost\": [{}]}}\n",
        key.duplicates,
        ahead.collect::<Vec<_>>().join(", "),
        lost.collect::<Vec<_>>().join(", "),
    );
    fs::write(folder.join("key.json"), text)?;
    Ok(())
}
