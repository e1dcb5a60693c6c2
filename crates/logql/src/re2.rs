//! Regular expressions as Go's `regexp` reads them, in the syntax of the `regex` crate.
//!
//! Both are RE2 descendants; the differences this closes: a brace that starts no repetition is a literal, `\Q…\E`
//! quotes, `\d \w \s \b` are ASCII, and inside a class `[`, `&&`, `--` and `~~` have no meaning of their own.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

/// Compiled patterns stay below this many bytes, so a hostile repetition costs an error, not memory.
const SIZE_LIMIT: usize = 1 << 21;

/// Compiles an unanchored pattern; the error is one line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&translate(pattern))
        .size_limit(SIZE_LIMIT)
        .build()
        .map_err(|e| e.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

/// Rewrites a pattern; what needs no rewriting is borrowed.
pub(crate) fn translate(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(['\\', '{', '[']) {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(tail, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                open_class(tail, &mut out)
            }
            '[' => {
                // `[:alpha:]` is a named class in both; any other bracket inside a class is a literal.
                match tail.strip_prefix(':').and_then(|t| t.find(":]").map(|n| n + 3)) {
                    Some(n) => {
                        out.push('[');
                        out.push_str(&tail[..n]);
                        &tail[n..]
                    }
                    None => {
                        out.push_str("\\[");
                        tail
                    }
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
                tail
            }
            '&' | '~' | '-' if in_class && tail.starts_with(c) => {
                out.push('\\');
                out.push(c);
                tail
            }
            '{' if !in_class && !is_repetition(tail) => {
                out.push_str("\\{");
                tail
            }
            c => {
                out.push(c);
                tail
            }
        };
    }
    Cow::Owned(out)
}

/// After `[`: a caret, and a `]` that stands first, belong to the opening.
fn open_class<'a>(tail: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut tail = tail;
    if let Some(t) = tail.strip_prefix('^') {
        out.push('^');
        tail = t;
    }
    if let Some(t) = tail.strip_prefix(']') {
        out.push_str("\\]");
        tail = t;
    }
    tail
}

fn escape<'a>(tail: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(c) = tail.chars().next() else {
        out.push('\\');
        return tail;
    };
    let next = &tail[c.len_utf8()..];
    let class = |inner: &str, negated: bool, out: &mut String| match (in_class, negated) {
        (true, false) => out.push_str(inner),
        (_, false) => out.push_str(&format!("[{inner}]")),
        (_, true) => out.push_str(&format!("[^{inner}]")),
    };
    match c {
        'd' | 'D' => class("0-9", c == 'D', out),
        'w' | 'W' => class("0-9A-Za-z_", c == 'W', out),
        's' | 'S' => class("\\t\\n\\f\\r ", c == 'S', out),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'Q' => {
            let (literal, after) = match next.find("\\E") {
                Some(n) => (&next[..n], &next[n + 2..]),
                None => (next, ""),
            };
            out.push_str(&regex::escape(literal));
            return after;
        }
        // Octal, which the regex crate reads as a back reference.
        '0'..='7' => match octal(tail) {
            Some((c, after)) => {
                out.push_str(&format!("\\x{{{c:x}}}"));
                return after;
            }
            None => {
                out.push('\\');
                out.push(c);
            }
        },
        c => {
            out.push('\\');
            out.push(c);
        }
    }
    next
}

fn octal(tail: &str) -> Option<(u32, &str)> {
    let n = tail.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let text = tail.get(..n)?;
    (text.starts_with('0') || n == 3).then(|| Some((u32::from_str_radix(text, 8).ok()?, &tail[n..])))?
}

/// Whether `{` followed by `tail` is `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(tail: &str) -> bool {
    let Some((inner, _)) = tail.split_once('}') else { return false };
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match inner.split_once(',') {
        None => number(inner),
        Some((a, b)) => number(a) && (b.is_empty() || number(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_accepts_compiles_and_means_the_same() {
        for (pattern, yes, no) in [
            (r#"{"a":\d+}"#, r#"x {"a":12}"#, r#"{"a":x}"#),
            (r"\Qa.b\E+", "a.bbb", "axb"),
            (r"[[a]+$", "[a[", "b"),
            (r"a{2}", "aa", "a"),
            (r"[\w|/]+x", "a/|x", " x"),
            (r"^[^\d]+$", "abc", "ab1"),
            (r"^\d$", "7", "\u{0667}"),
            (r"\bfoo\b", "a foo b", "afoob"),
            (r"[]a]", "]", "b"),
            (r"[[:digit:]]z", "1z", "az"),
        ] {
            let re = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert!(re.is_match(yes), "{pattern} should match {yes}");
            assert!(!re.is_match(no), "{pattern} should not match {no}");
        }
        assert!(compile("(").is_err());
        assert!(compile("((a{1000}){1000}){1000}").is_err());
    }
}
