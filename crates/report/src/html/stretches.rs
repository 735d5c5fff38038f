//! How long each stretch of a question's way took, in words and, where it was measured, as a strip of dots.

use std::fmt::Write as _;

use model::journey::SeenWay;

use crate::escape::Escaped;
use crate::seen_way::stretches;
use crate::strip::{STRIPS_MAX, Strip};

pub(super) fn stretches(out: &mut String, way: &SeenWay) {
    let all = stretches::of(way);
    if all.is_empty() {
        return;
    }
    let strips = || all.iter().take(STRIPS_MAX).filter_map(|stretch| stretch.strip.as_ref());
    let first = strips().next();
    // Strips of one clock stand over one line of time.
    let is_one = strips().all(|strip| Some(strip.times) == first.map(|first| first.times));
    let legend = if strips().any(|strip| !strip.lost.is_empty()) {
        "a dot is a packet, a broken line one that was lost"
    } else {
        "a dot is a packet"
    };
    out.push_str("<h4>How long each stretch took</h4>\n<ul class=\"stretches\">\n");
    for stretch in all.iter().take(STRIPS_MAX) {
        let words = &stretch.words;
        let _ = writeln!(out, "<li><p><b>{}</b>: {words}</p>", Escaped(&stretch.name));
        if let Some(strip) = &stretch.strip {
            strip.inline(out, words);
            if !is_one {
                strip.span(out, legend);
            }
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n");
    if let Some(strip) = first.filter(|_: &&Strip| is_one) {
        strip.span(out, legend);
    }
    if let Some(more @ 1..) = all.len().checked_sub(STRIPS_MAX) {
        let _ = writeln!(out, "<p class=\"dim\">and {more} more stretches; the JSON has their packets.</p>");
    }
}
