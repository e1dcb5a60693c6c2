//! Line filters, and which of them a `Select` can apply before records are returned.

use contract::LineFilter as Pushed;
use regex::Regex;

use super::{ip::IpTest, pattern::Pattern};
use crate::{
    ast::{LineFilter, LineOp, LinePattern, Stage},
    re2,
};

/// A line passes when any alternative fits, or none of a negative filter's.
pub(crate) struct LineTest {
    negative: bool,
    alternatives: Vec<Alternative>,
}

enum Alternative {
    Text(String),
    Regex(Regex),
    Pattern(Pattern),
    Ip(IpTest),
}

impl LineTest {
    pub fn new(filter: &LineFilter) -> Result<Self, String> {
        let alternatives = filter.alternatives.iter().map(|a| {
            Ok(match (a, filter.op) {
                (LinePattern::Ip(p), _) => Alternative::Ip(IpTest::parse(p)?),
                (LinePattern::Text(t), LineOp::Contains | LineOp::NotContains) => {
                    Alternative::Text(t.clone())
                }
                (LinePattern::Text(t), LineOp::Regex | LineOp::NotRegex) => {
                    Alternative::Regex(re2::compile(t).map_err(|e| format!("error parsing regexp: {e}"))?)
                }
                (LinePattern::Text(t), LineOp::Pattern | LineOp::NotPattern) => {
                    Alternative::Pattern(Pattern::filter(t)?)
                }
            })
        });
        Ok(LineTest {
            negative: filter.op.is_negative(),
            alternatives: alternatives.collect::<Result<_, String>>()?,
        })
    }

    pub fn passes(&self, line: &str) -> bool {
        let fits = self.alternatives.iter().any(|a| match a {
            Alternative::Text(t) => line.contains(t.as_str()),
            Alternative::Regex(r) => r.is_match(line),
            Alternative::Pattern(p) => p.fits(line),
            Alternative::Ip(ip) => ip.found_in(line),
        });
        fits != self.negative
    }
}

/// What of a pipeline can be done before records are returned. The engine does all of it again, so pushing is never
/// needed for the result.
pub(crate) struct Pushdown {
    /// The filters that see the line as it is stored.
    pub filters: Vec<Pushed>,
    /// So many stages have to be run to know what else is dropped; none where the filters say it all.
    pub needed: usize,
}

pub(crate) fn pushdown(stages: &[Stage]) -> Pushdown {
    let (mut filters, mut needed, mut rewritten) = (Vec::new(), 0, false);
    for (i, stage) in stages.iter().enumerate() {
        match stage {
            Stage::Line(f) => match pushed(f).filter(|_| !rewritten) {
                Some(more) => filters.extend(more),
                None => needed = i + 1,
            },
            // From here on the line is another one.
            Stage::LineFormat(_) | Stage::Decolorize | Stage::Unpack => rewritten = true,
            Stage::Label(_) => needed = i + 1,
            _ => {}
        }
    }
    Pushdown { filters, needed }
}

/// The same as filters on the line as it is stored; `None` where none say it.
pub(crate) fn pushed(filter: &LineFilter) -> Option<Vec<Pushed>> {
    let mut texts = Vec::new();
    for a in &filter.alternatives {
        match a {
            LinePattern::Text(t) => texts.push(t.as_str()),
            LinePattern::Ip(_) => return None,
        }
    }
    Some(match (filter.op, texts.as_slice()) {
        (LineOp::Contains, [t]) => vec![Pushed::Contains((*t).to_owned())],
        (LineOp::Contains, many) => {
            vec![Pushed::Regex(many.iter().map(|t| regex::escape(t)).collect::<Vec<_>>().join("|"))]
        }
        (LineOp::Regex, many) => {
            vec![Pushed::Regex(many.iter().map(|t| alone(t)).collect::<Vec<_>>().join("|"))]
        }
        (LineOp::NotContains, many) => many.iter().map(|t| Pushed::NotContains((*t).to_owned())).collect(),
        (LineOp::NotRegex, many) => many.iter().map(|t| Pushed::NotRegex(alone(t))).collect(),
        (LineOp::Pattern | LineOp::NotPattern, _) => return None,
    })
}

/// A pattern that means the same wherever it is put: flags it sets end with it, and a dot is no line end.
fn alone(pattern: &str) -> String {
    let pattern = re2::translate(pattern);
    if pattern.contains(['.', '|', '?']) { format!("(?-s:{pattern})") } else { pattern.into_owned() }
}
