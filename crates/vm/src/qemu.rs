//! QEMU's command line, as far as every machine has it in common.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

use crate::program::program;
use crate::{Accelerator, VmError};

/// A bare machine with one processor and this much memory: nothing in it that QEMU would add by itself, the
/// smallest firmware (qboot), and to boot anew means to end.
pub(crate) fn machine(accelerator: Accelerator, kernel: &Path, memory_mb: u32) -> Command {
    let mut qemu = program("qemu-system-x86_64");
    qemu.args(["-machine", "pc", "-smp", "1", "-m", &format!("{memory_mb}M")]);
    qemu.args(accelerator.arguments(memory_mb));
    qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-bios", "qboot.rom"]);
    qemu.arg("-kernel").arg(kernel);
    qemu
}

/// An option `WORDS,NAME=PATH`. In a value QEMU reads a comma as the next name, and two as one comma.
pub(crate) fn option_with_path(words: &str, path: &Path) -> OsString {
    let mut option = words.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        let repeat = if *byte == b',' { 2 } else { 1 };
        option.extend(std::iter::repeat_n(*byte, repeat));
    }
    OsString::from_vec(option)
}

/// The longest path of a socket (`sun_path` of unix(7), with its NUL).
const SOCKET_PATH_MAX: usize = 107;

/// An option with the path of a socket that QEMU makes.
pub(crate) fn option_with_socket(words: &str, path: &Path) -> Result<OsString, VmError> {
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        let value = path.display().to_string();
        return Err(VmError::Unfit { what: "a socket's path", value, why: "it has more than 107 bytes" });
    }
    Ok(option_with_path(words, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_is_not_the_end_of_it() {
        assert_eq!(option_with_path("file,path=", Path::new("/a,b/c")), "file,path=/a,,b/c");
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused() {
        let path = Path::new("/").join("a".repeat(107));
        assert!(option_with_socket("unix:", &path).unwrap_err().to_string().contains("107 bytes"));
        assert_eq!(option_with_socket("unix:", Path::new("/a")).unwrap(), "unix:/a");
    }
}
