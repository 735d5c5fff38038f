//! An initramfs: files in the format that the kernel unpacks at its start, `newc` of cpio(5)
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::VmError;

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that is being written. Every path is from the root, without a slash before it; folders above it
/// are made, because the kernel drops a file whose folder is not there (`init/initramfs.c do_name`).
pub(crate) struct Archive<W: Write> {
    out: W,
    /// For messages.
    path: PathBuf,
    /// What there is already: a path written twice would have the content of both.
    written: BTreeSet<String>,
}

impl Archive<BufWriter<fs::File>> {
    /// Starts an archive in a file.
    pub(crate) fn create(path: &Path) -> Result<Archive<BufWriter<fs::File>>, VmError> {
        let file = fs::File::create(path).map_err(VmError::file("write", path))?;
        Ok(Archive::new(BufWriter::with_capacity(1 << 20, file), path))
    }
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W, path: &Path) -> Archive<W> {
        Archive { out, path: path.to_owned(), written: BTreeSet::new() }
    }

    /// A folder, which may be filled later.
    pub(crate) fn folder(&mut self, path: &str) -> Result<(), VmError> {
        self.entry(path, FOLDER | 0o755, &[])
    }

    /// A file. `mode` is its permissions.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), VmError> {
        self.entry(path, FILE | (mode & 0o7777), content)
    }

    /// A copy of a file of this machine, with its permissions.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> Result<(), VmError> {
        let read = fs::metadata(from).and_then(|m| Ok((m.permissions().mode(), fs::read(from)?)));
        let (mode, content) = read.map_err(VmError::file("read", from))?;
        self.file(path, mode, &content)
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> Result<(), VmError> {
        self.entry(path, LINK | 0o777, target.as_bytes())
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<W, VmError> {
        let ended = write_entry(&mut self.out, 0, "TRAILER!!!", 0, &[]);
        ended.and_then(|()| self.out.flush()).map_err(VmError::file("write", &self.path))?;
        Ok(self.out)
    }

    /// Writes an entry and the folders above it; the first of a path is the one that counts.
    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), VmError> {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above)?;
        }
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        let number = self.written.len();
        let written = write_entry(&mut self.out, number, path, mode, content);
        written.map_err(VmError::file("write", &self.path))
    }
}

/// Header, name and content, each padded to a multiple of four bytes. Owner and times are all 0.
fn write_entry(out: &mut impl Write, number: usize, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
    let too_long = |what| io::Error::new(io::ErrorKind::FileTooLarge, format!("{path}: {what} has no room"));
    let inode = u32::try_from(number).map_err(|_| too_long("its number"))?;
    let size = u32::try_from(content.len()).map_err(|_| too_long("its content"))?;
    let name_size = u32::try_from(path.len() + 1).map_err(|_| too_long("its name"))?;
    let links = 1;
    // Inode, mode, owner, group, links, time, size, the device's and the file's numbers, name's size, checksum.
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    let mut head = b"070701".to_vec();
    fields.iter().for_each(|field| head.extend_from_slice(format!("{field:08x}").as_bytes()));
    head.extend_from_slice(path.as_bytes());
    head.push(0);
    out.write_all(&head)?;
    out.write_all(padding(head.len()))?;
    out.write_all(content)?;
    out.write_all(padding(content.len()))
}

fn padding(length: usize) -> &'static [u8] {
    match length % 4 {
        1 => &[0; 3],
        2 => &[0; 2],
        3 => &[0; 1],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn archived(fill: impl FnOnce(&mut Archive<Vec<u8>>)) -> Vec<u8> {
        let mut archive = Archive::new(Vec::new(), Path::new("test"));
        fill(&mut archive);
        archive.finish().unwrap()
    }

    /// What busybox's cpio makes of it, given these arguments, in this folder.
    fn cpio(arguments: &[&str], at: &Path, archive: &[u8]) -> String {
        let mut command = Command::new(sys::programs::path_of("busybox"));
        command.arg("cpio").args(arguments).current_dir(at);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(archive).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn cpio_reads_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..=255).cycle().take(70_001).collect();
        let archive = archived(|archive| {
            archive.file("init", 0o755, b"#!/bin/sh\n").unwrap();
            archive.file("a/b/c", 0o640, &content).unwrap();
            archive.file("a/b/c", 0o640, b"again").unwrap();
            archive.link("a/l", "b/c").unwrap();
            archive.folder("a/b").unwrap();
            archive.folder("empty").unwrap();
        });
        let listed = cpio(&["-t"], folder.path(), &archive);
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["init", "a", "a/b", "a/b/c", "a/l", "empty"]);
        cpio(&["-i"], folder.path(), &archive);
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("init"), mode("a/b/c"), mode("empty")), (0o755, 0o640, 0o755));
        assert!(fs::read(folder.path().join("a/l")).unwrap() == content, "through the link");
    }
}
