//! Text of strangers within markup: HTML and SVG.

use std::fmt::{self, Write as _};

use crate::clean::clean;

/// A text that shows itself as the content of an element or the value of a quoted attribute, whatever it holds.
/// Hidden characters are told as on a terminal ([`clean`]): a name that reads backwards fools people in a browser, too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in clean(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // No document may hold these, not even as references (XML 1.0, 2.2).
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_browser_obeys_gets_through() {
        let hostile = "</title><script>alert('1')</script>\" onload=\"x &amp; \x1b[2J\u{202e}\u{ffff}";
        let shown = Escaped(hostile).to_string();
        assert_eq!(
            shown,
            "&lt;/title&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x &amp;amp; \
             \\u{1b}[2J\\u{202e}\u{fffd}"
        );
    }
}
