//! What is inconsistent in the cloud's database: one file a finding, its page above the statement that finds it.
//!
//! Every statement looks at whole tables at once, and its rows are counted as they come; of each finding the first
//! [`ROWS_MAX`] are kept. Rows that nova cannot see (`deleted` is NULL) are not looked at, nor what it will put right
//! by itself.

mod braces;
mod cached;
mod caches;
mod kept;
mod letters;
mod looks;
mod networks;
mod of_instances;
mod one;
mod repairs;
mod roles;
mod those;
mod told;
mod words;

pub(crate) use braces::{compares, replaced};
pub(crate) use cached::{Nic, Said, Uuid, cached, differ, list};
pub(crate) use caches::OCTETS_MAX;
pub use kept::{Contradictions, KeptCell, NotLookedFor, contradictions};
pub use looks::{Checked, Clock, check, check_hosts};
pub use of_instances::check_instances;
pub(crate) use one::{Repair, Template, repair};
pub(crate) use roles::ROLES;

use std::collections::{BTreeMap, BTreeSet};

use model::finding::{Confidence, EvidenceKind};
use model::{Intent, Snapshot};

use crate::cells::Cell;

/// Rows of a finding that are kept; more are counted.
pub const ROWS_MAX: usize = 1000;

/// An inconsistency that is looked for.
pub struct DbCheck {
    /// Kebab-case, stable for ever.
    pub code: &'static str,
    /// The file's text; its leading doc comment is the page.
    source: &'static str,
    inconsistency: Spec,
}

/// How an inconsistency is found, and what is said of it.
struct Spec {
    /// The table whose rows are wrong.
    table: &'static str,
    /// Tables beyond the five that nothing can be said without.
    needs: &'static [&'static str],
    look: Look,
    /// What the columns are called; the first is the id of a row of `table`. One named `instance` names whom it hits.
    columns: &'static [&'static str],
    /// The summary of one row, with columns in braces.
    one: &'static str,
    /// The summary of several, with `{count}`.
    many: &'static str,
    /// What it breaks, in a sentence.
    cause: &'static str,
    confidence: Confidence,
    /// The repair of one row, with words in braces, see `repairs`.
    repair: &'static str,
    /// What the repair disturbs.
    note: &'static str,
}

/// How rows are found.
enum Look {
    /// By a statement, see `words`.
    Sql(&'static str),
    /// By a statement that is asked only where the guard has a row: the server joins what it groups in the wrong order.
    Guarded { guard: &'static str, sql: &'static str },
    /// By a statement whose rows are looked at once more.
    Sieved { sql: &'static str, keep: fn(&[Cell]) -> bool },
    /// Among the networks, of which there are few.
    Networks(fn(&[networks::Network]) -> Vec<networks::Odd>),
    /// In the info caches, beside the addresses of the tables.
    Caches,
    /// In the info caches of instances that the tables have no NIC of.
    CachedNics,
    /// On the hosts, beside what is meant; with what shows it there.
    Hosts { look: fn(&Snapshot, &Intent) -> Vec<Vec<Cell>>, kind: EvidenceKind, shown_by: &'static str },
}

/// An inconsistency that was found.
pub struct Inconsistency {
    /// Which.
    pub check: &'static DbCheck,
    /// What sort of thing its rows are.
    kind: EvidenceKind,
    /// The statement that shows it, or the command.
    pub select: String,
    /// How many rows there are.
    pub count: u64,
    /// The first of them.
    rows: Vec<Vec<Cell>>,
    /// Whom it hits by name, beside those that the rows name.
    hit: Vec<String>,
    /// Whom each row concerns, by `instances.id`, where rows were looked for of some instances.
    whose: BTreeMap<Vec<Cell>, BTreeSet<u64>>,
    /// The repair in this database's words; or why it cannot be said to this series of nova.
    repair: Result<String, String>,
}

impl DbCheck {
    /// The page: the file's leading doc comment, as Markdown; none where the finding is the diagnosis's too, whose
    /// page it is.
    pub fn page(&self) -> Option<String> {
        let mut page = String::new();
        for line in self.source.lines().map_while(|line| line.strip_prefix("//!")) {
            page.push_str(line.strip_prefix(' ').unwrap_or(line));
            page.push('\n');
        }
        page.starts_with("# ").then_some(page)
    }

    /// The page's first sentence, without its heading.
    pub fn summary(&self) -> Option<String> {
        let page = self.page()?;
        page.lines().find(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned)
    }
}

/// The list, from `module => code`.
macro_rules! catalogue {
    ($($module:ident => $code:literal),* $(,)?) => {
        $(mod $module;)*

        /// Every inconsistency, in the order in which they are told: floating addresses, fixed ones, NICs, instances,
        /// networks, security groups.
        pub const DB_CATALOGUE: &[DbCheck] = &[
            $(DbCheck {
                code: $code,
                source: include_str!(concat!("check/", stringify!($module), ".rs")),
                inconsistency: $module::SPEC,
            },)*
        ];
    };
}

catalogue! {
    float_tied_to_deleted_instance => "float-tied-to-deleted-instance",
    float_fixed_ip_gone => "float-fixed-ip-gone",
    float_host_without_fixed_ip => "float-host-without-fixed-ip",
    float_without_project => "float-without-project",
    float_host_mismatch => "float-host-mismatch",
    float_twice_to_one => "float-twice-to-one",
    floating_ip_twice => "floating-ip-twice",
    fixed_ip_leaked => "fixed-ip-leaked",
    fixed_ip_not_released => "fixed-ip-not-released",
    fixed_ip_without_vif => "fixed-ip-without-vif",
    fixed_ip_vif_mismatch => "fixed-ip-vif-mismatch",
    fixed_ip_reserved_in_use => "fixed-ip-reserved-in-use",
    host_address_in_use => "host-address-in-use",
    host_address_without_service => "host-address-without-service",
    fixed_ip_outside_network => "fixed-ip-outside-network",
    fixed_ip_of_other_project => "fixed-ip-of-other-project",
    fixed_ip_twice => "fixed-ip-twice",
    fixed_ip_without_network => "fixed-ip-without-network",
    fixed_ip_flag_missing => "fixed-ip-flag-missing",
    mac_twice => "mac-twice",
    vif_orphan => "vif-orphan",
    instance_without_address => "instance-without-address",
    instance_without_nic => "instance-without-nic",
    info_cache_differs => "info-cache-differs",
    info_cache_deleted => "info-cache-deleted",
    network_full => "network-full",
    network_overlap => "network-overlap",
    network_vlan_twice => "network-vlan-twice",
    network_bridge_twice => "network-bridge-twice",
    network_mask_wrong => "network-mask-wrong",
    group_rule_of_deleted_group => "group-rule-of-deleted-group",
    group_membership_of_deleted_group => "group-membership-of-deleted-group",
    domain_of_deleted_instance => "domain-of-deleted-instance",
    dhcp_line_of_nobody => "dhcp-line-of-nobody",
    dhcp_lease_of_another => "dhcp-lease-of-another",
}
