//! Patterns: globs of names, wildcards of values, and Lucene's regular expressions, which match whole terms.

use regex::{Regex, RegexBuilder};

use crate::Error;

/// Compiled patterns stay below this, so that a hostile repetition costs an error and not memory.
const SIZE_LIMIT: usize = 1 << 20;

/// `*` is anything.
#[derive(Debug, Clone)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Glob(pattern.to_owned())
    }

    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(head) else { return false };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*').filter(|p| !p.is_empty()) {
            match left.find(part) {
                Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        left.ends_with(tail)
    }
}

/// `*` is anything, `?` one character, a backslash takes the next as it is.
pub fn wildcard(pattern: &str, fold: bool) -> Result<Regex, Error> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '\\' => out.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    compile(&out, fold)
}

/// A prefix, as it is.
pub fn prefix(text: &str, fold: bool) -> Result<Regex, Error> {
    compile(&format!("{}.*", regex::escape(text)), fold)
}

/// Lucene's syntax: `^` and `$` are themselves, `"…"` is literal, `<1-20>`, `~`, `&` and `@` are refused.
pub fn lucene(pattern: &str, fold: bool) -> Result<Regex, Error> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            c if in_class => out.push(c),
            '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '"' => {
                for c in chars.by_ref().take_while(|c| *c != '"') {
                    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                }
            }
            '(' => {
                // Lucene has no flags and groups of its own kind.
                out.push_str(if chars.peek() == Some(&'?') { "(\\" } else { "(" });
            }
            '<' | '~' | '&' | '@' | '#' => {
                return Err(Error::illegal(format!(
                    "the operator {c:?} of regular expressions is not served: {:?}",
                    pattern.chars().take(100).collect::<String>()
                )));
            }
            c => out.push(c),
        }
    }
    compile(&out, fold)
}

fn compile(pattern: &str, fold: bool) -> Result<Regex, Error> {
    let whole = format!("^(?s:{pattern})$");
    RegexBuilder::new(&whole).case_insensitive(fold).size_limit(SIZE_LIMIT).build().map_err(|e| {
        let reason = e.to_string();
        let short: String = pattern.chars().take(100).collect();
        let reason = reason.lines().last().unwrap_or_default();
        Error::illegal(format!("the pattern {short:?} is not valid: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whole_terms() {
        let m = |p: &str, t: &str| wildcard(p, false).unwrap().is_match(t);
        assert!(m("jad?nk", "jadonk") && m("j*nk", "jadonk") && m("a\\*", "a*"));
        assert!(!m("jad", "jadonk") && !m("a\\*", "ab") && !m("RUS*", "rust"));
        assert!(wildcard("RUS*", true).unwrap().is_match("rust"));
    }

    #[test]
    fn anchors_are_characters_in_lucene() {
        let m = |p: &str, t: &str| lucene(p, false).unwrap().is_match(t);
        assert!(m("gold$", "gold$") && !m("red$", "red"));
        assert!(m(".*event", "pushevent") && !m("event", "pushevent"));
        assert!(m("[a-c]+\"x.\"", "abx.") && m("a[^b]", "ac"));
        assert!(lucene("<1-5>", false).is_err() && lucene("((a{1000}){1000}){1000}", false).is_err());
    }

    #[test]
    fn globs_match_names() {
        assert!(Glob::new("logs-*-01").matches("logs-dev-01") && !Glob::new("logs-*").matches("log"));
    }
}
