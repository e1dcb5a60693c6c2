//! Short forms of outside text for error messages.

/// At most 80 characters of `s`.
pub(crate) fn clip(s: &str) -> String {
    let mut out: String = s.chars().take(80).collect();
    if out.len() < s.len() {
        out.push('…');
    }
    out
}

/// At most 80 characters of `s`, quoted and escaped.
pub(crate) fn quoted(s: &str) -> String {
    format!("{:?}", clip(s))
}

/// At most `max` characters of `s`.
pub(crate) fn clip_to(s: &str, max: usize) -> String {
    s.chars().take(max).collect()
}
