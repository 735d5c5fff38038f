//! Which instance a word on the command line means.

use std::fmt;
use std::net::Ipv4Addr;

use model::intent::Instance;
use model::{Intent, Mac};
use thiserror::Error;

use crate::secret_url::printable;

/// Most candidates that an error lists.
pub(crate) const LISTED_MAX: usize = 10;

/// Why a word does not name one instance. All names are shown with control characters written out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FindError {
    /// Several fit.
    #[error(
        "`{wanted}` fits {} instances: {candidates}; say which by its uuid or address",
        .candidates.count
    )]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Those that fit.
        candidates: Candidates,
    },
    /// None fits, and some are nearly called so.
    #[error("there is no instance `{wanted}`; did you mean {near}?")]
    Near {
        /// What was asked for.
        wanted: String,
        /// Those with a similar name.
        near: Candidates,
    },
    /// None fits.
    #[error("there is no instance `{wanted}`; known are {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Those there are.
        known: Candidates,
    },
    /// Nothing tells of any instance.
    #[error(
        "there is no instance `{wanted}`: neither a database nor libvirt nor the site file tells of any; \
         add an [[instance]] or [cloud] database to the site file"
    )]
    NoInstances {
        /// What was asked for.
        wanted: String,
    },
}

/// A bounded list of instances, for an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// How many there are in all.
    pub count: usize,
    /// The first of them: `web1 (uuid, on compute1)`.
    pub shown: Vec<String>,
}

impl fmt::Display for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown.join(", "))?;
        match self.count - self.shown.len().min(self.count) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The index of the instance with this name, uuid, libvirt name, fixed or floating IP or MAC.
pub fn find(intent: &Intent, wanted: &str) -> Result<usize, FindError> {
    let fitting: Vec<usize> = positions(intent, |instance| fits(instance, wanted));
    let shown = printable(wanted);
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] if intent.instances.is_empty() => Err(FindError::NoInstances { wanted: shown }),
        [] => {
            let near = positions(intent, |instance| is_near(instance, wanted));
            if near.is_empty() {
                let known = candidates(intent, &positions(intent, |_| true), |i| printable(&i.name));
                return Err(FindError::Unknown { wanted: shown, known });
            }
            Err(FindError::Near { wanted: shown, near: candidates(intent, &near, described) })
        }
        several => {
            Err(FindError::Ambiguous { wanted: shown, candidates: candidates(intent, several, described) })
        }
    }
}

fn positions(intent: &Intent, test: impl Fn(&Instance) -> bool) -> Vec<usize> {
    let numbered = intent.instances.iter().enumerate();
    numbered.filter(|(_, instance)| test(instance)).map(|(at, _)| at).collect()
}

fn fits(instance: &Instance, wanted: &str) -> bool {
    let uuid = instance.uuid.as_ref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(wanted));
    if uuid || instance.name == wanted || instance.libvirt_name.as_deref() == Some(wanted) {
        return true;
    }
    if let Ok(ip) = wanted.parse::<Ipv4Addr>() {
        return instance.fixed().any(|f| f == ip) || instance.floating().any(|f| f.address == ip);
    }
    let Ok(mac) = wanted.parse::<Mac>() else { return false };
    // The tap's MAC, as `ip link` on the host shows it, names its instance as well.
    instance.vifs.iter().filter_map(|vif| vif.mac).any(|own| own == mac || mac.is_tap_of(own))
}

fn described(instance: &Instance) -> String {
    let uuid = instance.uuid.as_deref().map(|uuid| format!("{}, ", printable(uuid))).unwrap_or_default();
    let host = if instance.host.is_empty() { "on no known host" } else { "on " };
    format!("{} ({uuid}{host}{})", printable(&instance.name), printable(&instance.host))
}

fn candidates(intent: &Intent, which: &[usize], show: impl Fn(&Instance) -> String) -> Candidates {
    let instances = which.iter().filter_map(|at| intent.instances.get(*at));
    Candidates { count: which.len(), shown: instances.take(LISTED_MAX).map(show).collect() }
}

/// Same but for case, a part of the other, or at most two letters away.
fn is_near(instance: &Instance, wanted: &str) -> bool {
    const LETTERS_MAX: usize = 64;
    let names = [Some(&instance.name), instance.libvirt_name.as_ref(), instance.uuid.as_ref()];
    let wanted = wanted.to_lowercase();
    names.into_iter().flatten().any(|name| {
        let name = name.to_lowercase();
        let part = wanted.len() >= 3 && name.contains(&wanted) || name.len() >= 3 && wanted.contains(&name);
        let short = name.chars().count() <= LETTERS_MAX && wanted.chars().count() <= LETTERS_MAX;
        part || short && wanted.chars().count() > 2 && distance(&name, &wanted) <= 2
    })
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((j, other), above) in b.iter().enumerate().zip(row.windows(2)) {
            let (Some(&left), [diagonal, up]) = (next.get(j), above) else { continue };
            next.push((diagonal + usize::from(letter != *other)).min(up + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
