//! Patterns: literals with `<name>` and `<_>` between them. The parser takes names out of a line; the filters
//! `|>` and `!>` ask whether a line fits.

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    /// `None` for `<_>`.
    Capture(Option<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern(Vec<Part>);

impl Pattern {
    /// For the `pattern` stage: at least one name, each once, and never two captures side by side.
    pub fn parser(text: &str) -> Result<Self, String> {
        let p = Pattern(split(text));
        p.refuse_neighbours(text)?;
        let names: Vec<&String> =
            p.0.iter().filter_map(|x| if let Part::Capture(Some(n)) = x { Some(n) } else { None }).collect();
        if names.is_empty() {
            return Err(format!("invalid pattern {text:?}: at least one capture is required"));
        }
        for (i, n) in names.iter().enumerate() {
            if names[..i].contains(n) {
                return Err(format!("invalid pattern {text:?}: duplicate capture name ({n})"));
            }
        }
        Ok(p)
    }

    /// For the filters: names make no sense there.
    pub fn filter(text: &str) -> Result<Self, String> {
        let p = Pattern(split(text));
        p.refuse_neighbours(text)?;
        if p.0.iter().any(|x| matches!(x, Part::Capture(Some(_)))) {
            return Err(format!("invalid pattern {text:?}: named captures are not allowed in a line filter"));
        }
        Ok(p)
    }

    fn refuse_neighbours(&self, text: &str) -> Result<(), String> {
        if self.0.windows(2).any(|w| w.iter().all(|x| matches!(x, Part::Capture(_)))) {
            return Err(format!("invalid pattern {text:?}: consecutive captures are not allowed"));
        }
        Ok(())
    }

    /// Calls `f` with each name and its text. A literal that is not found gives the rest of the line to the
    /// capture before it; a line that does not begin with the first literal gives nothing.
    pub fn extract(&self, line: &str, f: &mut dyn FnMut(&str, &str)) {
        let mut rest = line;
        let mut parts = self.0.as_slice();
        if let [Part::Literal(first), tail @ ..] = parts {
            let Some(after) = rest.strip_prefix(first.as_str()) else { return };
            rest = after;
            parts = tail;
        }
        if line.is_empty() {
            return;
        }
        while let [Part::Capture(name), tail @ ..] = parts {
            let (value, next) = match tail {
                [Part::Literal(l), after @ ..] => {
                    parts = after;
                    match rest.split_once(l.as_str()) {
                        Some((value, next)) => (value, Some(next)),
                        None => (rest, None),
                    }
                }
                _ => (rest, None),
            };
            if let Some(name) = name {
                f(name, value);
            }
            match next {
                Some(next) => rest = next,
                None => return,
            }
        }
    }

    /// Whether the whole line fits: literals in order, the first at the start unless a capture precedes it, the
    /// last at the end unless a capture follows, which then must not be empty.
    pub fn fits(&self, line: &str) -> bool {
        if line.is_empty() || self.0.is_empty() {
            return line.is_empty() && self.0.is_empty();
        }
        let mut rest = line;
        for (i, part) in self.0.iter().enumerate() {
            let Part::Literal(l) = part else { continue };
            match rest.find(l.as_str()) {
                Some(n) if i > 0 || n == 0 => rest = &rest[n + l.len()..],
                _ => return false,
            }
        }
        let ends_open = matches!(self.0.last(), Some(Part::Capture(_)));
        ends_open != rest.is_empty()
    }
}

/// `<` opens a capture only where a name and `>` follow; otherwise it is a literal.
fn split(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '<'
            && let Some((name, after)) = rest[1..].split_once('>')
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
            rest = after;
            continue;
        }
        literal.push(c);
        rest = &rest[c.len_utf8()..];
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, line: &str) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let p = Pattern::parser(pattern).unwrap();
        p.extract(line, &mut |n, v| out.push((n.to_owned(), v.to_owned())));
        out
    }

    #[test]
    fn a_missing_literal_gives_the_rest_to_the_capture_before_it() {
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(found("<a> - <b>!", "x - y!z"), [pair("a", "x"), pair("b", "y")]);
        assert_eq!(found("<a> - <b>!", "x and y"), [pair("a", "x and y")]);
        assert_eq!(found("at <a>", "on x"), []);
        assert_eq!(found("<_>=<v>", "k=1=2"), [pair("v", "1=2")]);
        assert_eq!(found("<a> <1b> <c", "x <1b> <c"), [pair("a", "x")]);
    }

    #[test]
    fn a_filter_fits_the_whole_line() {
        let fits = |p: &str, line: &str| Pattern::filter(p).unwrap().fits(line);
        assert!(fits("a <_> c", "a b c") && fits("<_>c", "abc") && fits("a<_>", "abc") && fits("abc", "abc"));
        assert!(
            !fits("a <_> c", "a b cd") && !fits("b<_>", "abc") && !fits("abc<_>", "abc") && !fits("a", "ab")
        );
        assert!(fits("", "") && !fits("", "a") && !fits("<_>", ""));
        assert!(Pattern::filter("<name>").is_err() && Pattern::filter("<_><_>").is_err());
    }
}
