//! # fixed-ip-not-released
//!
//! A fixed IP was given back long ago, and is still tied to its instance.
//!
//! ## What it means
//! The address is not allocated any more, and nova-network's time-out should have untied it. Whoever should have done
//! it does not: nova-network of the host is down, or the host is gone. The network has that many addresses less.
//!
//! ## How hopline knows
//! `allocated` is 0, an instance is named, and the row has not changed for longer than
//! `fixed_ip_disassociate_timeout` (600 s) and a minute, or `updated_at` is NULL, which nova's time-out compares with
//! in vain for ever. Within that it is on its way. `--now` sets the clock, for a dump.
//!
//! ## What it looks like
//! `No fixed IP addresses available for network`, with few instances running.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-leaked`: it was never given back.
//!
//! ## Fix
//! Start nova-network on the host that should do it, which does so within a minute; or untie the row. Undo: the old
//! values.
//!
//! ## References
//! nova `db/sqlalchemy/api.py` `fixed_ip_disassociate_all_by_timeout`.

use model::finding::Confidence;

use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "fixed_ips",
    needs: &[],
    look: Look::Sql(
        "SELECT {f.id}, {f.address}, {flag f.leased}, {f.updated_at}, \
         {text COALESCE({raw n.host}, {raw i.host})}, {key f as text}, {name i} \
         FROM fixed_ips f \
         LEFT JOIN networks n ON n.id = f.network_id \
         LEFT JOIN instances i ON {tie i f} \
         WHERE {live f} AND {no f.allocated} AND {key f} IS NOT NULL AND {expired f.updated_at} \
         ORDER BY f.id",
    ),
    columns: &["id", "address", "leased", "updated_at", "whose task", "instance_uuid", "instance"],
    one: "fixed IP {address} was given back, and nova-network on {whose task} does not untie it",
    many: "{count} fixed IPs were given back, and nova-network does not untie them",
    cause: "the host whose nova-network should free them within minutes does not, so nobody gets them",
    confidence: Confidence::Proven,
    repair: "UPDATE fixed_ips SET leased = FALSE, {key} = NULL, virtual_interface_id = NULL \
        WHERE id = {id} AND {key is instance_uuid} AND allocated = FALSE AND {live} AND {unhung}",
    note: "one row; not while a floating IP hangs on it, which is released first, nor while a host still runs an \
        instance that is deleted",
};
