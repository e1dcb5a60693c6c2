//! File patterns: `*`, `?` and `[a-z]` inside one path element, `**` for any number of directories.

use std::path::{Component, Path, PathBuf};

/// Deepest directory that `**` descends to.
const MAX_DEPTH: usize = 16;
/// Directory entries looked at for one pattern; a pattern that meets more is cut there.
const MAX_ENTRIES: usize = 200_000;

/// Files that match `pattern`, sorted.
pub(crate) fn expand(pattern: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = pattern.split('/').filter(|p| !p.is_empty()).collect();
    let root = if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() };
    let mut found = Vec::new();
    let mut budget = MAX_ENTRIES;
    walk(root, &parts, 0, &mut budget, &mut found);
    found.sort();
    found.dedup();
    found
}

/// The directory above the first wildcard: where new matches can appear.
pub(crate) fn base(pattern: &str) -> PathBuf {
    let parts: Vec<&str> = pattern.split('/').collect();
    let fixed = parts.iter().take_while(|p| !is_wild(p)).count().min(parts.len().saturating_sub(1));
    match parts.get(..fixed).unwrap_or_default().join("/") {
        empty if empty.is_empty() => PathBuf::from(if pattern.starts_with('/') { "/" } else { "." }),
        dir => PathBuf::from(dir),
    }
}

/// Whether a whole path matches.
pub(super) fn matches_path(pattern: &str, path: &Path) -> bool {
    let parts: Vec<&str> = pattern.split('/').filter(|p| !p.is_empty()).collect();
    let names: Vec<&str> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(n) => n.to_str(),
            _ => None,
        })
        .collect();
    matches_parts(&parts, &names)
}

fn matches_parts(parts: &[&str], names: &[&str]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            // `**` twice in a row says no more than once.
            let rest = &rest[rest.iter().take_while(|p| **p == "**").count()..];
            (0..=names.len()).any(|skip| matches_parts(rest, &names[skip..]))
        }
        (Some((p, parts)), Some((n, names))) => matches(p, n) && matches_parts(parts, names),
        _ => false,
    }
}

fn is_wild(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

fn walk(at: PathBuf, parts: &[&str], depth: usize, budget: &mut usize, found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        if at.is_file() {
            found.push(at);
        }
        return;
    };
    if *part != "**" && !is_wild(part) {
        return walk(at.join(part), rest, depth, budget, found);
    }
    if *part == "**" {
        walk(at.clone(), rest, depth, budget, found);
        if depth >= MAX_DEPTH {
            return;
        }
    }
    let dir = if at.as_os_str().is_empty() { Path::new(".") } else { &at };
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if *part == "**" {
            // Links to directories are not followed here: they can form circles.
            if !name.starts_with('.') && entry.file_type().is_ok_and(|t| t.is_dir()) {
                walk(at.join(name), parts, depth + 1, budget, found);
            }
        } else if matches(part, name) {
            walk(at.join(name), rest, depth, budget, found);
        }
    }
}

/// One path element against one pattern. A leading dot must be written out, as in a shell.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut i, mut j) = (0, 0);
    // Where to go on after the last star, should what follows not match: one character later each time.
    let mut star: Option<(usize, usize)> = None;
    while j < n.len() {
        let step = match p.get(i) {
            Some('*') => {
                star = Some((i + 1, j));
                i += 1;
                continue;
            }
            Some('?') => Some(i + 1),
            Some('[') => class(&p, i, n[j]),
            Some(c) if *c == n[j] => Some(i + 1),
            _ => None,
        };
        match (step, star) {
            (Some(next), _) => {
                i = next;
                j += 1;
            }
            (None, Some((after, from))) => {
                i = after;
                j = from + 1;
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    p.get(i..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// Matches `c` against the class that begins at `at`; returns the place behind it. A bracket that is not
/// closed stands for itself.
fn class(p: &[char], at: usize, c: char) -> Option<usize> {
    let negated = matches!(p.get(at + 1), Some('!' | '^'));
    let first = at + 1 + usize::from(negated);
    let Some(close) = (first + 1..p.len()).find(|k| p[*k] == ']') else {
        return (c == '[').then_some(at + 1);
    };
    let set = &p[first..close];
    let mut k = 0;
    let mut inside = false;
    while k < set.len() {
        if k + 2 < set.len() && set[k + 1] == '-' {
            inside |= (set[k]..=set[k + 2]).contains(&c);
            k += 3;
        } else {
            inside |= set[k] == c;
            k += 1;
        }
    }
    (inside != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("*.log", ".hidden.log", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]*[!0-9]", "bx", true),
            ("[a-c]*[!0-9]", "b1", false),
            ("*a*b*", "xxaxxbxx", true),
            ("[x", "[x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(matches_path("/var/**/x/*.log", Path::new("/var/a/b/x/1.log")));
        assert!(matches_path("/var/**/*.log", Path::new("/var/1.log")));
        assert!(!matches_path("/var/*.log", Path::new("/var/a/1.log")));
    }

    #[test]
    fn files_are_found_below_any_number_of_directories() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "x/b.log", "x/y/c.log", "x/y/d.txt"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let names = |pattern: &str| -> Vec<String> {
            let found = expand(&format!("{root}/{pattern}"));
            found.iter().map(|p| p.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("*.log"), ["a.log"]);
        assert_eq!(names("**/*.log"), ["a.log", "x/b.log", "x/y/c.log"]);
        assert_eq!(names("x/*/?.*"), ["x/y/c.log", "x/y/d.txt"]);
        assert_eq!(base("/var/log/*/x.log"), Path::new("/var/log"));
        assert_eq!(base("/var/log/x.log"), Path::new("/var/log"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_pattern_and_name_are_decided(pattern in "[ab*?\\[\\]!-]{0,12}", name in "[ab\\[\\]-]{0,12}") {
            matches(&pattern, &name);
            prop_assert!(matches("*", &name) || name.starts_with('.'));
        }
    }
}
