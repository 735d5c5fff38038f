//! What of a bundle a reader would take, and the gaps of what it would not.

use model::snapshot::Gap;
use serde::de::DeserializeOwned;

use crate::assemble::Missing;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::read::parts;
use crate::secrets;
use crate::weighed::Scales;

/// How much of the facts a reader has room for.
pub(super) struct Room {
    limits: Limits,
    kept_bytes: u64,
    scales: Scales,
}

impl Room {
    /// With the manifest taken, which counts too.
    pub(super) fn of(limits: &Limits) -> Room {
        Room { limits: *limits, kept_bytes: limits.manifest_bytes, scales: Scales::of(limits) }
    }

    /// Takes a file of facts, or says why a reader would not, who reads it as this.
    pub(super) fn take<T: DeserializeOwned>(&mut self, json: &[u8]) -> Result<(), String> {
        let Limits { facts_bytes, all_facts_bytes, .. } = self.limits;
        let length = json.len() as u64;
        let kept = self.kept_bytes.saturating_add(length);
        if length > facts_bytes {
            return Err(format!("its facts are {length} bytes, and a reader takes {facts_bytes}"));
        }
        if kept > all_facts_bytes {
            return Err(format!("all facts of the bundle are more than {all_facts_bytes} bytes with it"));
        }
        self.scales.read::<T>(json).map_err(|error| format!("its facts could not be read again: {error}"))?;
        self.kept_bytes = kept;
        Ok(())
    }
}

/// A reader would take this manifest.
pub(super) fn is_manifest_read(manifest: &Manifest, json: &[u8], limits: &Limits) -> Result<(), String> {
    let (length, machines) = (json.len() as u64, manifest.machines.len());
    let count = parts(json);
    if length > limits.manifest_bytes || count > limits.manifest_parts || machines > limits.machines {
        return Err(format!("{machines} machines, {length} bytes, {count} lists and objects"));
    }
    Ok(())
}

/// A machine that is too large for a bundle.
pub(super) fn missing(name: &str, why: String) -> Missing {
    Missing { why, would_need: format!("hopline on {name} itself") }
}

/// The same of anything else.
pub(super) fn gap(what: &str, why: &str) -> Gap {
    let (what, why) = (what.to_owned(), why.to_owned());
    Gap { what, why, would_need: "hopline where it can be read".to_owned() }
}

/// Plain files that were left out.
pub(super) fn left_out(paths: &[String]) -> Option<Gap> {
    const NAMED_MAX: usize = 5;
    let first = paths.first()?;
    let mut named = first.clone();
    for path in paths.iter().take(NAMED_MAX).skip(1) {
        named.push_str(", ");
        named.push_str(path);
    }
    if paths.len() > NAMED_MAX {
        named.push_str(&format!(" and {} more", paths.len() - NAMED_MAX));
    }
    Some(Gap {
        what: format!("{} plain files of the bundle", paths.len()),
        why: format!(
            "with them it would be more than a reader takes; nothing is concluded from them: {named}"
        ),
        would_need: "the files themselves".to_owned(),
    })
}

/// How many gaps of machines the manifest may still tell: their facts have them all, and a manifest that is too long
/// would cost the whole bundle.
pub(super) struct Untold {
    bytes: u64,
    parts: usize,
}

impl Untold {
    /// A sixteenth of what a manifest may hold.
    pub(super) fn of(limits: &Limits) -> Untold {
        Untold { bytes: limits.manifest_bytes / 16, parts: limits.manifest_parts / 16 }
    }

    /// Those of one machine that have room, in their order, without secrets.
    pub(super) fn take(&mut self, gaps: &[Gap]) -> Vec<Gap> {
        /// A gap, and the list that it may begin.
        const PARTS: usize = 2;
        let without_secrets = |text: &String| secrets::scrub(text).into_owned();
        let mut taken = Vec::new();
        for gap in gaps {
            let [what, why, would_need] = [&gap.what, &gap.why, &gap.would_need].map(without_secrets);
            let bytes = (what.len() + why.len() + would_need.len()) as u64;
            let (Some(bytes), Some(parts)) = (self.bytes.checked_sub(bytes), self.parts.checked_sub(PARTS))
            else {
                break;
            };
            (self.bytes, self.parts) = (bytes, parts);
            taken.push(Gap { what, why, would_need });
        }
        taken
    }
}

#[cfg(test)]
mod tests;
