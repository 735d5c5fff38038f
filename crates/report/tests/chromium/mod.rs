//! A headless Chromium, driven over its debugging pipe: JSON messages with a NUL behind each, on descriptors 3 and 4.
//! (Chrome DevTools Protocol; `--remote-debugging-pipe`.) It has no network and its own, empty profile.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses what it needs")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Elements that are partly outside of the window, and pages that are wider than it.
pub const OUTSIDE: &str = include_str!("outside.js");

/// What is folded, and so cannot be read.
pub const FOLDED: &str = include_str!("folded.js");

/// Screenshots are kept where the build keeps its files, for people to look at.
pub fn keep(name: &str, png: &[u8]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
}

/// Names of the program: Debian's, and others'.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"];

/// One browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    last_id: u64,
    /// Events that came while an answer was awaited.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// # Panics
    /// Where no Chromium is installed (`make install-deps` does), or it does not come up.
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let program = PROGRAMS.into_iter().find(|name| is_program(name));
        let program = program.expect("no Chromium here: `make install-deps` installs it");
        // timeout(1) ends a browser that hangs, so that a test fails instead of waiting for ever.
        let script = "exec 3<&0 4>&1 >/dev/null; exec timeout --kill-after=5 100 \"$@\"";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", program, "--headless=new", "--no-sandbox", "--disable-gpu"])
            .args([
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-extensions",
                "--disable-dev-shm-usage",
            ])
            .args(["--hide-scrollbars", "--force-color-profile=srgb", "--disable-background-networking"])
            // Whatever a page wants from a network goes nowhere.
            .args(["--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut browser = Browser {
            child,
            to,
            from,
            session: String::new(),
            last_id: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// A window of so many pixels, and which colours its reader prefers.
    pub fn look(&mut self, width: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "", "features": features }));
    }

    /// A sheet of paper of so many pixels, as a reader who prefers the dark prints it.
    pub fn print(&mut self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "print", "features": features }));
        self.settle();
    }

    /// Prints the page, and says on how many sheets of A4.
    pub fn pages(&mut self) -> usize {
        let a4 = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "printBackground": true });
        let answer = self.call("Page.printToPDF", &a4);
        let pdf = base64(answer["data"].as_str().unwrap());
        let page = b"/Type /Page\n";
        pdf.windows(page.len()).filter(|bytes| bytes == page).count()
    }

    /// Opens a file, and is back when it is drawn.
    pub fn open(&mut self, file: &Path) {
        self.events.clear();
        self.call("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive();
            self.events.push(event);
        }
        self.settle();
    }

    /// Two frames later, whatever was on its way is drawn.
    pub fn settle(&mut self) {
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))");
    }

    /// What a script gives in the page.
    pub fn run(&mut self, script: &str) -> Value {
        let wanted = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &wanted);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// A key, pressed and let go. Enter is a character, too: without it no link is followed.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if key == "Enter" {
                event["text"] = json!("\r");
            }
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// The left button, pressed and let go.
    pub fn click(&mut self, x: f64, y: f64) {
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// All of the page as a PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let answer =
            self.call("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }));
        base64(answer["data"].as_str().unwrap())
    }

    /// What is in the window by now, as a PNG: a long page takes seconds to be drawn whole.
    pub fn glimpse(&mut self) -> Vec<u8> {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        base64(answer["data"].as_str().unwrap())
    }

    /// What the console has, and what was asked of anything but files, since the page was opened.
    pub fn complaints(&mut self) -> Vec<String> {
        // Whatever was on its way comes before this answer.
        self.run("0");
        let is_complaint = |event: &Value| match event["method"].as_str().unwrap_or_default() {
            "Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" => true,
            "Network.requestWillBeSent" => {
                let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                !url.starts_with("file:") && !url.starts_with("data:")
            }
            _ => false,
        };
        self.events.iter().filter(|event| is_complaint(event)).map(Value::to_string).collect()
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        write!(self.to, "{message}\0").unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.last_id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "Chromium has gone away");
        serde_json::from_slice(&bytes).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It closes itself and its helpers; its profile goes after it.
        let _ = write!(self.to, "{}\0", json!({ "id": 0, "method": "Browser.close" }));
        let _ = self.child.wait();
    }
}

fn is_program(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// RFC 4648, section 4.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter).expect("base64");
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    out
}

/// A desk's window, a tablet's, and a telephone's.
const WIDTHS: [u32; 3] = [1280, 768, 390];

/// Opens a page at every width, in light and dark: nothing complains, leaves the view or lies over another, by the
/// script that says so, and dark is not light. `look` is what else is held to it, by the words that name the case; a
/// long page is pictured as far as the window shows it.
#[allow(dead_code, reason = "not every test program opens pages at every width")]
pub fn sweep(
    browser: &mut Browser,
    (picture, file, is_long): (&str, &Path, bool),
    crowded: &str,
    mut look: impl FnMut(&mut Browser, &str),
) {
    for width in WIDTHS {
        let mut pictures = Vec::new();
        for scheme in ["light", "dark"] {
            let case = format!("{picture}-{width}-{scheme}");
            browser.look(width, scheme);
            browser.open(file);
            look(browser, &case);
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{case}");
            assert_eq!(browser.run(OUTSIDE), json!([]), "{case}");
            assert_eq!(browser.run(crowded), json!([]), "{case}");
            let png = if is_long { browser.glimpse() } else { browser.picture() };
            keep(&case, &png);
            pictures.push(png);
        }
        assert_ne!(pictures.first(), pictures.last(), "{picture} {width}: dark is not light");
    }
}
