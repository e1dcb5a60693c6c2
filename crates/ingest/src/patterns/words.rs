//! A line cut into words, with what varies by nature left out: everything with a digit in it.
//!
//! ```text
//! 10.0.0.7:4711 GET /api/users/42 took=12ms, ok     line
//! <_> GET /api/users/<_> took=<_>, ok               words, one behind each blank and each comma
//! ```

/// Stands for what varies, as the pattern filter of LogQL writes it.
pub(super) const VARIABLE: &str = "<_>";

/// Bytes of a line that are looked at; what follows is the pattern's open end.
const MAX_BYTES: usize = 3000;
/// Words of a pattern; what follows is its open end.
pub(super) const MAX_WORDS: usize = 100;
/// A run of so many hexadecimal digits is an id, with or without a digit below ten.
const HEX_ID: usize = 16;

/// What stands between a word and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    None,
    Blank,
    /// Other whitespace, or different in different lines.
    Other,
}

/// The words of one line; used again for the next.
#[derive(Default)]
pub(super) struct Words {
    text: String,
    /// Where each word ends, and what follows it.
    ends: Vec<(usize, Gap)>,
    /// Something that is no word stands before the first one, or behind the last.
    pub(super) open_start: bool,
    pub(super) open_end: bool,
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Gap)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts
            .zip(&self.ends)
            .map(|(start, (end, gap))| (self.text.get(start..*end).unwrap_or_default(), *gap))
    }

    /// Lines with the same words have the same hash.
    pub(super) fn hash(&self) -> u64 {
        let mut h = xxhash_rust::xxh3::xxh3_64(self.text.as_bytes());
        for (end, gap) in &self.ends {
            h = h.rotate_left(5) ^ ((*end as u64) << 2 | *gap as u64);
            h = h.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        h ^ (u64::from(self.open_start) << 1 | u64::from(self.open_end))
    }

    pub(super) fn cut(&mut self, line: &str) {
        self.text.clear();
        self.ends.clear();
        let mut end = line.len().min(MAX_BYTES);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let kept = line.get(..end).unwrap_or_default();
        let trimmed = kept.trim();
        self.open_start = !kept.starts_with(trimmed);
        self.open_end = end < line.len() || !kept.ends_with(trimmed);
        let mut rest = trimmed;
        while !rest.is_empty() {
            if self.ends.len() == MAX_WORDS {
                self.open_end = true;
                break;
            }
            let after = self.word(rest);
            let next = after.trim_start();
            let gap = match after.len() - next.len() {
                0 => Gap::None,
                1 if after.starts_with(' ') => Gap::Blank,
                _ => Gap::Other,
            };
            self.ends.push((self.text.len(), gap));
            rest = next;
        }
    }

    /// Takes one word and returns what follows it.
    fn word<'l>(&mut self, mut rest: &'l str) -> &'l str {
        let start = self.text.len();
        while let Some(c) = rest.chars().next() {
            if c.is_whitespace() {
                break;
            }
            if !is_delimiter(c) {
                let len = rest.find(|c: char| c.is_whitespace() || is_delimiter(c)).unwrap_or(rest.len());
                let (run, after) = rest.split_at(len);
                if varies(run) {
                    self.variable(start);
                } else {
                    self.text.push_str(run);
                }
                rest = after;
                continue;
            }
            if let Some(after) = tag(rest) {
                self.variable(start);
                rest = after;
                continue;
            }
            self.text.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            if c == ',' {
                break;
            }
        }
        rest
    }

    /// Of times, addresses and paths of nothing but numbers one variable is enough.
    fn variable(&mut self, start: usize) {
        let word = self.text.get(start..).unwrap_or_default();
        let joined = word.strip_suffix([':', '/']).is_some_and(|w| w.ends_with(VARIABLE));
        if joined {
            self.text.pop();
        } else if !word.ends_with(VARIABLE) {
            self.text.push_str(VARIABLE);
        }
    }
}

fn is_delimiter(c: char) -> bool {
    matches!(
        c,
        '=' | ','
            | ':'
            | ';'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '"'
            | '\''
            | '`'
            | '|'
            | '<'
            | '>'
            | '/'
            | '?'
            | '&'
            | '!'
            | '\\'
    )
}

fn varies(run: &str) -> bool {
    run.bytes().any(|b| b.is_ascii_digit())
        || run.len() >= HEX_ID && run.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// What follows `<name>`, which a pattern would read as a capture.
fn tag(text: &str) -> Option<&str> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(after)
}
