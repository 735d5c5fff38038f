//! One line a finding, for scripts and narrow places.

use std::io::{self, Write};

use model::Diagnosis;

use crate::clean::clean;

/// Writes `CODE HOST/NETNS/DEVICE`, one line a finding, in the diagnosis' order.
pub fn minimal(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    for finding in &diagnosis.findings {
        writeln!(out, "{} {}", clean(&finding.code), clean(&finding.hop.to_string()))?;
    }
    Ok(())
}
