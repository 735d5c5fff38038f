//! Tiny virtual machines out of Debian's packages, under QEMU.
//!
//! A machine is Debian's kernel and an initramfs of ours, nothing is installed and no disk is made: both are
//! built from packages that are downloaded once, and kept in a cache ([`default_cache`]). KVM carries it where a
//! kernel really runs there, software emulation where not ([`accelerator`]).
//!
//! [`guest_image`] and [`command`] make an instance: it asks for its address by DHCP, for its metadata, and
//! answers ping, ssh's first line and the web. QEMU is all there is of it; when QEMU ends, its tap goes too.
//!
//! [`KernelWith`] lets tests run on a kernel that has what they need, wherever they are started.

mod accelerator;
mod archive;
mod cache;
mod error;
mod guest;
mod kernel;
mod monitor;
mod packages;
mod program;
mod qemu;
mod testbed;

pub use accelerator::{Accelerator, accelerator};
pub use cache::default_cache;
pub use error::VmError;
pub use guest::{Guest, Image, MEMORY_MB, NicDriver, command, guest_image};
pub use monitor::{power_off, press_power_button};
pub use testbed::{Feature, KernelWith, is_in_machine, lacking, run_elsewhere};
