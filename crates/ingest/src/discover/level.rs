//! The level of a line: of a field where it is JSON or logfmt, else of the first word that names one.

use super::LEVEL_FIELDS;

pub(super) const UNKNOWN: &str = "unknown";

/// Words and the levels they mean, the gravest reading of a line first: of two that stand in one line the earlier of
/// this list counts.
const WORDS: [(&str, &str); 9] = [
    ("trace", "trace"),
    ("debug", "debug"),
    ("fatal", "fatal"),
    ("critical", "critical"),
    ("error", "error"),
    ("err", "error"),
    ("warning", "warn"),
    ("warn", "warn"),
    ("info", "info"),
];

/// What fields say beyond [`WORDS`].
const SHORT: [(&str, &str); 5] =
    [("trc", "trace"), ("dbg", "debug"), ("inf", "info"), ("information", "info"), ("wrn", "warn")];

/// Objects inside the outermost whose fields are looked at.
const JSON_DEPTH: usize = 2;

/// The common name of a level, or the text as it is.
pub(super) fn normal(said: &str) -> &str {
    known(said).unwrap_or(said)
}

fn known(said: &str) -> Option<&'static str> {
    let all = WORDS.iter().chain(&SHORT);
    all.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(said)).map(|(_, level)| *level)
}

pub(super) fn of_line(line: &str) -> &'static str {
    let trimmed = line.trim();
    let field = if trimmed.starts_with('{') && trimmed.ends_with('}') {
        json_field(trimmed)
    } else if line.contains('=') {
        logfmt_field(line)
    } else {
        None
    };
    field.and_then(known).or_else(|| of_words(line)).unwrap_or(UNKNOWN)
}

/// The first word of [`WORDS`] that stands in the line by itself, in one pass.
fn of_words(line: &str) -> Option<&'static str> {
    let bytes = line.as_bytes();
    let (mut best, mut start) = (WORDS.len(), 0);
    for (at, b) in bytes.iter().chain(b" ").enumerate() {
        if IN_WORD[usize::from(*b)] {
            continue;
        }
        if (3..=8).contains(&(at - start))
            && let Some(word) = bytes.get(start..at)
            // Few words begin like one of them, and comparing costs more than this.
            && word.first().is_some_and(|b| b"tdfcewi".contains(&(b | 0x20)))
            && let Some(found) = WORDS.iter().position(|(w, _)| w.as_bytes().eq_ignore_ascii_case(word))
        {
            best = best.min(found);
        }
        start = at + 1;
    }
    WORDS.get(best).map(|(_, level)| *level)
}

/// Letters of any script, digits and `_`; what is no ASCII counts as a letter.
const IN_WORD: [bool; 256] = {
    let mut all = [false; 256];
    let mut b = 0;
    while b < 256 {
        all[b] = b >= 128 || (b as u8).is_ascii_alphanumeric() || b == b'_' as usize;
        b += 1;
    }
    all
};

/// The text of the first field that says a level. Nothing is checked beyond what it takes to find fields: a line that
/// is no JSON has a level by its words.
fn json_field(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let (mut at, mut objects, mut arrays) = (0usize, 0usize, 0usize);
    while let Some(b) = bytes.get(at) {
        match b {
            b'{' => objects += 1,
            b'}' => objects = objects.saturating_sub(1),
            b'[' => arrays += 1,
            b']' => arrays = arrays.saturating_sub(1),
            b'"' => {
                let (text, after) = string(line, at)?;
                let next = skip_blanks(bytes, after);
                let is_field = bytes.get(next) == Some(&b':') && arrays == 0 && objects <= JSON_DEPTH;
                if is_field && LEVEL_FIELDS.contains(&text) {
                    let value = skip_blanks(bytes, next + 1);
                    if bytes.get(value) == Some(&b'"') {
                        return string(line, value).map(|(said, _)| said);
                    }
                }
                at = after;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The inside of the string whose quote stands at `at`, escapes as written, and where it ends.
fn string(line: &str, at: usize) -> Option<(&str, usize)> {
    let bytes = line.as_bytes();
    let mut end = at + 1;
    loop {
        match bytes.get(end)? {
            b'"' => return Some((line.get(at + 1..end)?, end + 1)),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// The value of the field that stands first among [`LEVEL_FIELDS`], whatever its case.
fn logfmt_field(line: &str) -> Option<&str> {
    let (mut best, mut found) = (LEVEL_FIELDS.len(), None);
    let mut rest = line;
    while let Some(equals) = rest.find('=') {
        let (before, after) = rest.split_at(equals);
        let key = before.rsplit(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default();
        let after = after.get(1..).unwrap_or_default();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (text, end) = string(after, 0).unwrap_or((quoted, after.len()));
                (text, after.get(end..).unwrap_or_default())
            }
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        let place = LEVEL_FIELDS.iter().position(|f| f.eq_ignore_ascii_case(key));
        if let Some(place) = place.filter(|p| *p < best) {
            (best, found) = (place, Some(value));
            if place == 0 {
                break;
            }
        }
        rest = next;
    }
    found
}
