//! A certificate authority of the test's own, by openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with an authority's certificate, and whatever it has signed.
pub(crate) struct Authority<'f> {
    folder: &'f Path,
}

impl Authority<'_> {
    /// Makes one, with its files in this folder.
    pub(crate) fn new(folder: &Path) -> Authority<'_> {
        fs::create_dir_all(folder).unwrap();
        let authority = Authority { folder };
        let name = folder.file_name().unwrap().to_str().unwrap();
        authority.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority-{name} \
             -addext basicConstraints=critical,CA:TRUE -keyout authority.key -out authority.pem"
        ));
        authority
    }

    /// Its certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Makes `WHO.key` and `WHO.pem`, for these names (`IP:127.0.0.1`, `DNS:db.example`), valid for so many days.
    pub(crate) fn sign(&self, who: &str, names: &str, days: i32) {
        fs::write(self.folder.join("names"), format!("subjectAltName = {names}\n")).unwrap();
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -subj /CN={who} -keyout {who}.key -out {who}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {who}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days {days} \
             -extfile names -out {who}.pem"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split_whitespace()).current_dir(self.folder).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
