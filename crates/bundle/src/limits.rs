//! What a bundle may hold at most. A reader meets files of strangers, so each bound is there for its memory or time.

/// Machines of a site and files of an archive.
pub(crate) const MACHINES_MAX: usize = 20_000;
pub(crate) const FILES_MAX: usize = 200_000;
/// Bytes of the manifest, and of one file with facts: ten times what a host of a thousand instances needs.
pub(crate) const MANIFEST_MAX: u64 = 64 << 20;
pub(crate) const FACTS_MAX: u64 = 256 << 20;
/// Lists and objects in one file with facts, and in the manifest: a `{}` of two bytes is hundreds once it is read.
pub(crate) const FACTS_PARTS_MAX: usize = 3_000_000;
pub(crate) const MANIFEST_PARTS_MAX: usize = 2 * MACHINES_MAX + FILES_MAX + 10_000;
/// Bytes of all facts of one archive.
pub(crate) const ALL_FACTS_MAX: u64 = 1 << 30;
/// Bytes of the whole archive, unpacked.
pub(crate) const UNPACKED_MAX: u64 = 4 << 30;
/// How many times larger than packed an archive may be, beyond the first bytes: logs that repeat themselves reach a
/// few hundred, bombs tens of thousands.
pub(crate) const RATIO_MAX: u64 = 1_000;
pub(crate) const RATIO_FREE: u64 = 64 << 20;
/// Window of zstd, as a power of two: what `zstd` itself reads without being told (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
pub(crate) const WINDOW_LOG_MAX: u32 = 27;
