//! What is unpacked, within bounds: of all that comes out, and of how much comes out of how little.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ReadError;
use crate::limits::{Limits, RATIO_MAX, UNPACKED_MAX, WINDOW_LOG_MAX};

/// The unpacked octets of what is packed with zstd.
pub(crate) fn zstd<R: Read>(packed: R, limits: &Limits) -> io::Result<impl Read + use<R>> {
    let bytes = Arc::default();
    let packed = BufReader::with_capacity(128 * 1024, Counted::new(packed, &bytes));
    let mut unpacked = zstd::Decoder::with_buffer(packed)?;
    unpacked.window_log_max(WINDOW_LOG_MAX)?;
    Ok(Limited { limits: *limits, ..Limited::new(unpacked, bytes) })
}

/// Unpacked octets, as many as may be.
pub(crate) struct Limited<R> {
    unpacked: R,
    /// How many octets they have come out of, by now.
    packed: Arc<AtomicU64>,
    out: u64,
    limits: Limits,
}

impl<R: Read> Limited<R> {
    pub(crate) fn new(unpacked: R, packed: Arc<AtomicU64>) -> Limited<R> {
        Limited { unpacked, packed, out: 0, limits: Limits::REAL }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.unpacked.read(buffer)?;
        self.out += read as u64;
        if self.out > self.limits.unpacked_bytes {
            return Err(Refusal::Length.into());
        }
        if self.out > self.limits.ratio_free_bytes
            && self.out / self.limits.ratio > self.packed.load(Ordering::Relaxed)
        {
            return Err(Refusal::Ratio.into());
        }
        Ok(read)
    }
}

/// Packed octets, counted as they are read.
pub(crate) struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Counted<R> {
    pub(crate) fn new(inner: R, bytes: &Arc<AtomicU64>) -> Counted<R> {
        Counted { inner, bytes: Arc::clone(bytes) }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A bound that was met, on its way through `io::Error`.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Refusal {
    #[error("too long")]
    Length,
    #[error("a decompression bomb")]
    Ratio,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, refusal)
    }
}

/// The bound behind an error, however often it was wrapped.
pub(crate) fn refusal(error: &io::Error) -> Option<ReadError> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        match error.downcast_ref::<Refusal>() {
            Some(Refusal::Length) => {
                return Some(ReadError::TooLarge { what: "bytes", limit: UNPACKED_MAX });
            }
            Some(Refusal::Ratio) => return Some(ReadError::Bomb { ratio: RATIO_MAX }),
            None => {}
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = Some(inner);
            continue;
        }
        cause = error.source();
    }
    None
}
