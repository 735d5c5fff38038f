//! The page of each finding of a correlation: what it means, how it is known, what mends it.

/// A finding of packets.
#[derive(Debug, Clone, Copy)]
pub struct PacketFinding {
    /// Stable for ever: `packet-lost`.
    pub code: &'static str,
    /// Its page, as Markdown.
    pub page: &'static str,
}

impl PacketFinding {
    /// The page's first sentence, without its heading.
    pub fn summary(&self) -> &'static str {
        self.page.lines().find(|line| !line.starts_with('#') && !line.is_empty()).unwrap_or_default()
    }
}

/// The list, from codes.
macro_rules! catalogue {
    ($($code:literal),* $(,)?) => {
        &[$(PacketFinding { code: $code, page: include_str!(concat!("pages/", $code, ".md")) }),*]
    };
}

/// Every finding of a correlation, in the order in which they are told: faults, then what is worth a word.
pub const PACKET_CATALOGUE: &[PacketFinding] = catalogue![
    "packet-lost",
    "packet-duplicated",
    "packet-looping",
    "answered-twice",
    "packet-repeated",
    "packet-delayed",
    "packet-reordered",
    "reply-other-way",
    "capture-incomplete",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_its_heading_and_all_sections() {
        for finding in PACKET_CATALOGUE {
            let lines: Vec<&str> = finding.page.lines().filter(|line| line.starts_with('#')).collect();
            let heading = format!("# {}", finding.code);
            let sections = [
                heading.as_str(),
                "## What it means",
                "## How hopline knows",
                "## What it looks like",
                "## Nearest look-alikes",
                "## Fix",
                "## References",
            ];
            assert_eq!(lines, sections, "{}", finding.code);
            assert!(finding.summary().ends_with('.'), "{}", finding.code);
        }
    }

    #[test]
    fn whatever_is_told_has_a_page() {
        let told = include_str!("told.rs");
        let known = |code: &&str| PACKET_CATALOGUE.iter().any(|finding| finding.code == *code);
        let quoted: Vec<&str> = told.split('"').skip(1).step_by(2).collect();
        let is_code =
            |text: &&str| text.contains('-') && text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let codes: Vec<&str> = quoted.into_iter().filter(is_code).collect();
        assert!(codes.len() >= PACKET_CATALOGUE.len(), "{codes:?}");
        assert!(codes.iter().all(known), "{codes:?}");
    }
}
