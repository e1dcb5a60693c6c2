//! Command lines, wherever a file has them: containers of Kubernetes and Compose, blocks of shell in Markdown.

use super::{
    source::Block,
    tree::{Tree, joined},
};
use crate::yaml::{At, Node};

#[derive(Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: At,
    pub(super) path: String,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: At,
    pub(super) path: String,
    pub(super) image: String,
    pub(super) words: Vec<Word>,
    pub(super) variables: Vec<(String, Word)>,
    /// Paths at which volumes are mounted; none where nothing is known of them.
    pub(super) mounts: Option<Vec<String>>,
    /// `kind` and `metadata.name` of the object it is part of.
    pub(super) kind: String,
    pub(super) object: String,
}

/// A flag and its value, as `-name=value`, `--name value` and, for a switch, `--name`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag<'c> {
    pub(super) name: &'c str,
    /// Empty for a switch.
    pub(super) value: &'c str,
    pub(super) word: &'c Word,
}

impl Command {
    pub(super) fn all_in(tree: &Tree<'_>) -> Vec<Self> {
        let runs = |n: &Node| {
            let has = |key| n.get(key).is_some_and(|v| v.text().is_some() || !v.items().is_empty());
            ((has("command") || has("args")) && (has("image") || has("name"))) || (has("image") && has("env"))
        };
        tree.all
            .iter()
            .filter(|v| v.node.is_map() && runs(v.node))
            .map(|v| {
                let of_object = |keys: &[&str]| {
                    v.object.and_then(|o| o.at_path(keys)).and_then(Node::text).unwrap_or_default().to_owned()
                };
                Command {
                    at: v.node.at,
                    path: v.path.clone(),
                    image: v.node.text_of(&["image"]).unwrap_or_default().to_owned(),
                    words: words(v.node, &v.path),
                    variables: variables(v.node, &v.path),
                    mounts: v.object.map(|_| mounts(v.node)),
                    kind: of_object(&["kind"]),
                    object: of_object(&["metadata", "name"]),
                }
            })
            .collect()
    }

    /// Each line of a block, with those that end in a backslash joined to the next.
    pub(super) fn all_of(block: &Block) -> Vec<Self> {
        let mut all = Vec::new();
        let mut words = Vec::new();
        for (i, line) in block.text.lines().enumerate() {
            let at = At { line: block.line + i as u64, column: block.indent + 1 };
            words.extend(split(line, at, ""));
            if !line.trim_end().ends_with('\\') && !words.is_empty() {
                all.push(Command {
                    at,
                    path: String::new(),
                    image: String::new(),
                    words: std::mem::take(&mut words),
                    variables: Vec::new(),
                    mounts: None,
                    kind: String::new(),
                    object: String::new(),
                });
            }
        }
        all
    }

    /// Whether the image or a word names the program.
    pub(super) fn runs(&self, program: &str) -> bool {
        let named = |word: &str| {
            let last = word.rsplit('/').next().unwrap_or_default();
            let name = last.split([':', '@']).next().unwrap_or_default();
            name == program
                || name == format!("{program}-prod")
                || name.starts_with(&format!("{program}-linux"))
        };
        named(&self.image) || self.words.iter().any(|w| !w.text.starts_with('-') && named(&w.text))
    }

    pub(super) fn has_word(&self, text: &str) -> bool {
        self.words.iter().any(|w| w.text == text)
    }

    pub(super) fn flags(&self) -> Vec<Flag<'_>> {
        let mut out = Vec::new();
        for (i, word) in self.words.iter().enumerate() {
            let name = word.text.trim_start_matches('-');
            if name.len() == word.text.len() || name.is_empty() {
                continue;
            }
            let next = self.words.get(i + 1).map(|w| w.text.as_str()).filter(|w| !w.starts_with('-'));
            let (name, value) = name.split_once('=').unwrap_or((name, next.unwrap_or_default()));
            out.push(Flag { name, value: value.trim_matches(['"', '\'']), word });
        }
        out
    }

    pub(super) fn values<'c>(&'c self, names: &[&str]) -> Vec<Flag<'c>> {
        self.flags().into_iter().filter(|f| names.contains(&f.name)).collect()
    }
}

fn words(container: &Node, path: &str) -> Vec<Word> {
    let mut out = Vec::new();
    for key in ["command", "args"] {
        let Some(node) = container.get(key) else { continue };
        let path = joined(path, key);
        if let Some(text) = node.text() {
            out.extend(split(text, node.at, &path));
        }
        for (i, item) in node.items().iter().enumerate() {
            out.extend(split(item.text().unwrap_or_default(), item.at, &format!("{path}[{i}]")));
        }
    }
    out
}

/// A text that a shell may be given, in words.
fn split(text: &str, at: At, path: &str) -> Vec<Word> {
    let word = |w: &str| Word { text: w.trim_matches(['"', '\'']).to_owned(), at, path: path.to_owned() };
    text.split_whitespace().filter(|w| *w != "\\").map(word).collect()
}

fn variables(container: &Node, path: &str) -> Vec<(String, Word)> {
    let Some(env) = container.get("env").or_else(|| container.get("environment")) else { return Vec::new() };
    let word =
        |node: &Node, text: &str| Word { text: text.to_owned(), at: node.at, path: joined(path, "env") };
    let listed = env.items().iter().filter_map(|n| match n.text() {
        Some(text) => text.split_once('=').map(|(name, value)| (name.to_owned(), word(n, value))),
        None => Some((n.text_of(&["name"])?.to_owned(), word(n, n.text_of(&["value"]).unwrap_or_default()))),
    });
    let mapped =
        env.entries().iter().map(|e| (e.key.clone(), word(&e.node, e.node.text().unwrap_or_default())));
    listed.chain(mapped).collect()
}

fn mounts(container: &Node) -> Vec<String> {
    let listed = container.get("volumeMounts").map(Node::items).unwrap_or_default();
    listed.iter().filter_map(|m| m.text_of(&["mountPath"])).map(str::to_owned).collect()
}
