//! A lab that is broken, asked about, and removed whatever happens.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::ScoreError;
use crate::healthy::Step;
use crate::program::{Hopline, Ran, finish};

/// A lab of ours.
#[derive(Debug)]
pub(crate) struct Bench {
    hopline: Hopline,
    name: String,
    site: String,
    meanwhile: Vec<Child>,
}

impl Bench {
    /// Builds one of this shape; it is removed when this is dropped, and where it could not be built.
    pub(crate) fn up(hopline: &Hopline, name: &str, shape: &[&str]) -> Result<Bench, ScoreError> {
        let (name, hopline) = (name.to_owned(), hopline.clone());
        let mut bench = Bench { hopline, name, site: String::new(), meanwhile: Vec::new() };
        bench.lab(&[&["up"], shape].concat())?;
        let env = bench.lab(&["env", "--json"])?;
        let env: Value = serde_json::from_str(&env.stdout).unwrap_or_default();
        env.get("SITE").and_then(Value::as_str).unwrap_or_default().clone_into(&mut bench.site);
        Ok(bench)
    }

    /// The lab's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `hopline lab WORDS` on it.
    pub(crate) fn lab(&self, words: &[&str]) -> Result<Ran, ScoreError> {
        let ran = self.hopline.run([&["lab"], words, &["--name", &self.name]].concat())?;
        if ran.code == Some(0) {
            return Ok(ran);
        }
        Err(ScoreError::Lab { command: format!("hopline lab {}", words.join(" ")), said: ran.stderr })
    }

    /// Asks `hopline` something of its site, with the answer as JSON.
    pub(crate) fn ask(&self, words: &[&str]) -> Result<Ran, ScoreError> {
        self.hopline.run([words, &["--json", "--site", &self.site]].concat())
    }

    /// The same in the terminal's words, for what prints no JSON.
    pub(crate) fn tell(&self, words: &[&str]) -> Result<Ran, ScoreError> {
        self.hopline.run([words, &["--site", &self.site]].concat())
    }

    /// Asks where there is no site.
    pub(crate) fn ask_elsewhere(&self, words: &[&str]) -> Result<Ran, ScoreError> {
        self.hopline.run([words, &["--json"]].concat())
    }

    /// Does something to it.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), ScoreError> {
        match step {
            Step::Lab(words) => self.lab(words).map(drop),
            Step::In(place, words) => {
                let output = finish(&mut self.within(place, words))?;
                if output.status.success() {
                    return Ok(());
                }
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                Err(ScoreError::Lab { command: words.join(" "), said })
            }
            Step::Tried(place, words) => finish(&mut self.within(place, words)).map(drop),
            Step::Meanwhile(place, words) => {
                let mut command = self.within(place, words);
                command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                let child = command.spawn();
                let child = child.map_err(|source| ScoreError::Start { program: words.join(" "), source })?;
                self.meanwhile.push(child);
                Ok(())
            }
        }
    }

    fn within(&self, place: &str, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{place}", self.name)]).args(words);
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for child in &mut self.meanwhile {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        // There is nobody to tell; `lab down` of the same name removes what may be left.
        let _ = self.lab(&["down"]);
    }
}
