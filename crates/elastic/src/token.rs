//! Text as words, close to Elasticsearch's standard analyzer: runs of letters, digits and `_`, where `.`, `'` and `:`
//! may stand between two letters and `.` and `,` between two digits, each ideograph a word of its own. Words are compared
//! in lower case.

/// The words of a text as they stand in it.
pub fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    spans(text).map(|(from, to)| text.get(from..to).unwrap_or_default())
}

/// Where the words stand, in bytes.
pub fn spans(text: &str) -> Spans<'_> {
    Spans { text, at: 0 }
}

/// See [`spans`].
#[derive(Clone)]
pub struct Spans<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Spans<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let rest = self.text.get(self.at..)?;
        let skipped = rest.find(is_word)?;
        let from = self.at + skipped;
        let rest = self.text.get(from..)?;
        let mut chars = rest.char_indices().peekable();
        let (_, mut last) = chars.next()?;
        let mut end = last.len_utf8();
        if !is_ideograph(last) {
            while let Some((at, c)) = chars.next() {
                if is_ideograph(c) {
                    break;
                }
                if is_word(c) {
                    (last, end) = (c, at + c.len_utf8());
                    continue;
                }
                match chars.peek() {
                    Some((_, next)) if joins(last, c, *next) => {}
                    _ => break,
                }
            }
        }
        self.at = from + end;
        Some((from, from + end))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

fn joins(before: char, between: char, after: char) -> bool {
    let letters = before.is_alphabetic() && after.is_alphabetic() && !is_ideograph(after);
    let digits = before.is_numeric() && after.is_numeric();
    match between {
        '.' | '\'' | '\u{2019}' => letters || digits,
        ':' => letters,
        ',' => digits,
        _ => false,
    }
}

/// The words in lower case, each as often as it stands there.
pub fn folded(text: &str) -> Vec<String> {
    words(text).map(str::to_lowercase).collect()
}

/// Whether a word of a text is one in lower case.
pub fn is(word: &str, lower: &str) -> bool {
    match word.is_ascii() {
        true => word.eq_ignore_ascii_case(lower),
        false => word.to_lowercase() == lower,
    }
}

/// Whether a word of a text begins with one in lower case.
pub fn begins(word: &str, lower: &str) -> bool {
    match word.is_ascii() {
        true => word.get(..lower.len()).is_some_and(|w| w.eq_ignore_ascii_case(lower)),
        false => word.to_lowercase().starts_with(lower),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_those_of_the_standard_analyzer() {
        assert_eq!(folded("Don't panic: 3.14, x_y"), ["don't", "panic", "3.14", "x_y"]);
        assert_eq!(folded("GET /api/v1/users?id=5"), ["get", "api", "v1", "users", "id", "5"]);
        assert_eq!(folded("mongo.db-01 日本"), ["mongo.db", "01", "日", "本"]);
        assert_eq!(folded(" ,;"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn every_word_stands_in_the_text_and_none_overlaps(text in "\\PC{0,60}") {
            let mut last = 0;
            for (from, to) in spans(&text) {
                prop_assert!(last <= from && from < to && text.get(from..to).is_some());
                last = to;
            }
        }
    }
}
