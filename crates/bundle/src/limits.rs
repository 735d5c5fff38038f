//! What a bundle may hold at most. A reader meets files of strangers, so each bound is there for its memory or time.
//! The writer knows them too: what a reader would refuse is left out, with a gap, or not written at all.

/// Machines of a site and files of an archive.
pub(crate) const MACHINES_MAX: usize = 20_000;
pub(crate) const FILES_MAX: usize = 200_000;
/// Bytes of the manifest, and of one file with facts: ten times what a host of a thousand instances needs.
pub(crate) const MANIFEST_MAX: u64 = 64 << 20;
pub(crate) const FACTS_MAX: u64 = 256 << 20;
/// Lists and objects in the manifest: a `{}` of two bytes is hundreds once it is read.
pub(crate) const MANIFEST_PARTS_MAX: usize = 2 * MACHINES_MAX + FILES_MAX + 10_000;
/// Bytes of all facts of one archive.
pub(crate) const ALL_FACTS_MAX: u64 = 1 << 30;
/// How many times larger than its JSON a file of facts may be once it is read, and what all those of an archive may be
/// beyond that: real ones are about as large as theirs, since every field stands in it.
pub(crate) const WEIGHT_RATIO: u64 = 3;
pub(crate) const WEIGHT_FREE: u64 = 64 << 20;
/// Bytes of the whole archive, unpacked.
pub(crate) const UNPACKED_MAX: u64 = 4 << 30;
/// How many times larger than packed an archive may be, beyond the first bytes: logs that repeat themselves reach a
/// few hundred, bombs tens of thousands.
pub(crate) const RATIO_MAX: u64 = 1_000;
pub(crate) const RATIO_FREE: u64 = 64 << 20;
/// Window of zstd, as a power of two: what `zstd` itself reads without being told (ZSTD_WINDOWLOG_LIMIT_DEFAULT).
pub(crate) const WINDOW_LOG_MAX: u32 = 27;

/// The bounds together, so that tests can have smaller ones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) machines: usize,
    pub(crate) files: usize,
    pub(crate) manifest_bytes: u64,
    pub(crate) manifest_parts: usize,
    pub(crate) facts_bytes: u64,
    pub(crate) all_facts_bytes: u64,
    pub(crate) weight_ratio: u64,
    pub(crate) weight_free_bytes: u64,
    pub(crate) unpacked_bytes: u64,
    pub(crate) ratio: u64,
    pub(crate) ratio_free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::REAL
    }
}

impl Limits {
    /// Those that hold.
    pub(crate) const REAL: Limits = Limits {
        machines: MACHINES_MAX,
        files: FILES_MAX,
        manifest_bytes: MANIFEST_MAX,
        manifest_parts: MANIFEST_PARTS_MAX,
        facts_bytes: FACTS_MAX,
        all_facts_bytes: ALL_FACTS_MAX,
        weight_ratio: WEIGHT_RATIO,
        weight_free_bytes: WEIGHT_FREE,
        unpacked_bytes: UNPACKED_MAX,
        ratio: RATIO_MAX,
        ratio_free_bytes: RATIO_FREE,
    };

    /// Whether one of the two streams of an archive may grow to so many bytes, so few of them packed being there: two
    /// fifths of the ratio, and half of what is free, so that both streams together keep within them at every byte.
    pub(crate) fn let_grow(&self, unpacked: u64, packed: u64) -> bool {
        let by_ratio = packed.saturating_mul(self.ratio) / 5 * 2;
        unpacked <= by_ratio.max(self.ratio_free_bytes / 2)
    }

    /// Bytes of all plain files and captures.
    pub(crate) fn plain_bytes(&self) -> u64 {
        self.unpacked_bytes.saturating_sub(self.all_facts_bytes).saturating_sub(self.manifest_bytes)
    }

    /// How many plain files and captures there may be: of the manifest half is theirs.
    pub(crate) fn plain_files(&self) -> usize {
        /// A file's lines in the manifest, with the longest path.
        const LINES_BYTES: u64 = 400;
        let listed = usize::try_from(self.manifest_bytes / 2 / LINES_BYTES).unwrap_or(usize::MAX);
        self.files.saturating_sub(self.machines + 2).min(listed).min(self.manifest_parts / 2)
    }
}
