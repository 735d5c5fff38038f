//! One plain file as tar has it (POSIX ustar): a header block, the bytes, and zeros up to a whole block.

use std::io::{self, Write};

use tar::{EntryType, Header};

const BLOCK: usize = 512;

/// Writes a file.
pub(crate) fn write(out: &mut impl Write, path: &str, bytes: &[u8], mtime: u64) -> io::Result<()> {
    begin(out, path, bytes.len() as u64, mtime)?;
    out.write_all(bytes)?;
    fill(out, bytes.len() as u64)
}

/// The header of a file of so many bytes, which follow it.
pub(crate) fn begin(out: &mut impl Write, path: &str, length: u64, mtime: u64) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_size(length);
    header.set_mode(0o600);
    header.set_mtime(mtime);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// What fills the last block of a file of so many bytes.
pub(crate) fn fill(out: &mut impl Write, length: u64) -> io::Result<()> {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or_default();
    if over > 0 {
        out.write_all(&[0; BLOCK][over..])?;
    }
    Ok(())
}

/// How long a file of so many bytes is in the archive.
pub(crate) fn length(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK as u64).saturating_add(BLOCK as u64)
}

/// Two blocks of zeros end an archive.
pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}
