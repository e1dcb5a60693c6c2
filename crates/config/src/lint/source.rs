//! From a file to the documents in it: several of YAML or JSON, those in the text values of others (a ConfigMap
//! holds whole files), and those between the fences of Markdown. Every value keeps its place in the file.

use std::path::Path;

use super::{
    finding::{Findings, Severity, Told},
    kind::{self, Kind},
    tree::{Document, joined},
};
use crate::yaml::{self, At, Node, Value};

/// A file, taken apart.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) text: String,
    /// What it was taken for, without repetition.
    pub(super) kinds: Vec<Kind>,
    pub(super) documents: Vec<Document>,
    /// Of Markdown: blocks that are no YAML, and the lines between all blocks.
    pub(super) blocks: Vec<Block>,
    pub(super) prose: Vec<(u64, String)>,
}

/// What stands between two fences of Markdown.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) language: String,
    /// Line of the file on which the text begins, and how far it is indented there.
    pub(super) line: u64,
    pub(super) indent: u64,
    pub(super) text: String,
}

/// How deep files may be embedded in files.
const MAX_INSIDE: usize = 3;
/// Documents taken from one file.
const MAX_DOCUMENTS: usize = 5000;

impl Source {
    pub(super) fn read(path: &Path, text: String, found: &mut Findings) -> Self {
        let mut s =
            Source { text, kinds: Vec::new(), documents: Vec::new(), blocks: Vec::new(), prose: Vec::new() };
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        match extension.is_some_and(|e| e == "md" || e == "markdown") {
            true => s.markdown(found),
            false => s.yaml(path, found),
        }
        s
    }

    /// Where `needle` stands in what `node` was read from; the node's own place where it is written otherwise.
    pub(super) fn place(&self, node: &Node, needle: &str) -> At {
        let written = node.text().map_or(1, |t| t.lines().count()) + 2;
        let first = usize::try_from(node.at.line).unwrap_or_default().saturating_sub(1);
        let mut from = usize::try_from(node.at.column).unwrap_or_default().saturating_sub(1);
        for (i, line) in self.text.lines().enumerate().skip(first).take(written) {
            let skipped: usize = line.chars().take(from).map(char::len_utf8).sum();
            if let Some(at) = line.get(skipped..).and_then(|l| l.find(needle)) {
                let before = line.get(..skipped + at).unwrap_or_default();
                return At { line: i as u64 + 1, column: before.chars().count() as u64 + 1 };
            }
            from = 0;
        }
        node.at
    }

    fn taken_for(&mut self, kind: Kind) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    fn yaml(&mut self, path: &Path, found: &mut Findings) {
        let documents = match yaml::parse_all(&self.text) {
            Ok(documents) => documents,
            Err(e) => {
                self.taken_for(Kind::Unknown);
                return found.add(e.at, "", unread(e.message, &self.text, Severity::Error));
            }
        };
        let is_named_so = path.file_stem().is_some_and(|s| s.to_string_lossy().contains("orrery"));
        if documents.is_empty() {
            self.taken_for(Kind::Orrery);
        }
        for root in documents {
            let kind = match kind::recognise(&root) {
                Kind::Unknown if is_named_so => Kind::Orrery,
                kind => kind,
            };
            self.taken_for(kind);
            self.add(root, String::new(), 0);
        }
    }

    fn add(&mut self, root: Node, inside: String, depth: usize) {
        if self.documents.len() >= MAX_DOCUMENTS {
            return;
        }
        let inside = match (root.get("kind").and_then(Node::text), root.at_path(&["metadata", "name"])) {
            (Some(kind), Some(name)) if inside.is_empty() => {
                format!("{kind}/{}: ", name.text().unwrap_or_default())
            }
            _ => inside,
        };
        if depth < MAX_INSIDE {
            let mut embedded = Vec::new();
            self.embedded(&root, &inside, &mut embedded);
            for (node, inside) in embedded {
                self.add(node, inside, depth + 1);
            }
        }
        self.documents.push(Document { root, inside });
    }

    /// Documents that are the text of a value below `node`.
    fn embedded(&mut self, node: &Node, path: &str, out: &mut Vec<(Node, String)>) {
        match &node.value {
            Value::Null => {}
            Value::Scalar(text, _) => self.embedded_in(node, text, path, out),
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.embedded(item, &format!("{path}[{i}]"), out);
                }
            }
            Value::Map(entries) => {
                for e in entries {
                    self.embedded(&e.node, &joined(path, &e.key), out);
                }
            }
        }
    }

    fn embedded_in(&mut self, node: &Node, text: &str, path: &str, out: &mut Vec<(Node, String)>) {
        if !text.contains('\n') || !text.contains(':') {
            return;
        }
        let Ok(documents) = yaml::parse_all(text) else { return };
        let (lines, columns) = self.offset(node.at, text);
        for mut root in documents {
            let kind = kind::recognise(&root);
            if matches!(kind, Kind::Unknown | Kind::Orrery) {
                continue;
            }
            self.taken_for(kind);
            root.shift(lines, columns);
            out.push((root, format!("{path}: ")));
        }
    }

    /// How far the lines of a block are from where its text alone would have them.
    fn offset(&self, at: At, text: &str) -> (u64, u64) {
        let above = text.lines().take_while(|l| l.trim().is_empty()).count();
        let first = text.lines().nth(above).unwrap_or_default().trim_end();
        let from = usize::try_from(at.line).unwrap_or_default().saturating_sub(1);
        for (i, line) in self.text.lines().enumerate().skip(from).take(above + 4) {
            let Some(indent) = line.trim_end().strip_suffix(first) else { continue };
            if indent.trim().is_empty() {
                return (i.saturating_sub(above) as u64, indent.chars().count() as u64);
            }
        }
        (at.line.saturating_sub(1), 0)
    }

    fn markdown(&mut self, found: &mut Findings) {
        self.taken_for(Kind::Markdown);
        let (blocks, prose) = fences(&self.text);
        self.prose = prose;
        for block in blocks {
            match block.language.as_str() {
                "yaml" | "yml" | "json" | "" => self.fenced(block, found),
                _ => self.blocks.push(block),
            }
        }
    }

    fn fenced(&mut self, block: Block, found: &mut Findings) {
        match yaml::parse_all(&block.text) {
            Ok(documents) if documents.iter().any(|d| kind::recognise(d) != Kind::Unknown) => {
                for mut root in documents {
                    let kind = kind::recognise(&root);
                    self.taken_for(kind);
                    root.shift(block.line.saturating_sub(1), block.indent);
                    self.add(root, String::new(), 0);
                }
            }
            Ok(documents) => {
                for mut root in documents {
                    root.shift(block.line.saturating_sub(1), block.indent);
                    self.add(root, String::new(), 0);
                }
                self.blocks.push(block);
            }
            Err(e) if !block.language.is_empty() => {
                let at =
                    At { line: e.at.line + block.line.saturating_sub(1), column: e.at.column + block.indent };
                found.add(at, "", unread(e.message, &block.text, Severity::Warning));
                self.blocks.push(block);
            }
            Err(_) => self.blocks.push(block),
        }
    }
}

fn unread(message: String, text: &str, severity: Severity) -> Told {
    let instead = match text.contains("{{") {
        true => "check what a template becomes: `helm template … > rendered.yaml`",
        false => "",
    };
    Told {
        severity,
        rule: "not-read",
        message: format!("no valid YAML: {message}"),
        effect: "nothing here was checked".to_owned(),
        instead: instead.to_owned(),
    }
}

/// The blocks between fences, and the other lines with their numbers.
fn fences(text: &str) -> (Vec<Block>, Vec<(u64, String)>) {
    let (mut blocks, mut prose) = (Vec::new(), Vec::new());
    let mut open: Option<(&str, Block)> = None;
    for (i, line) in text.lines().enumerate() {
        let body = line.trim_start();
        let fence = ["```", "~~~"].into_iter().find(|f| body.starts_with(f));
        match (open.as_mut(), fence) {
            (Some((begun_by, _)), Some(fence)) if *begun_by == fence => {
                blocks.extend(open.take().map(|(_, block)| block));
            }
            (Some((_, block)), _) => {
                let indent = usize::try_from(block.indent).unwrap_or_default();
                let own =
                    line.char_indices().nth(indent).map_or("", |(at, _)| line.get(at..).unwrap_or_default());
                block.text.push_str(own);
                block.text.push('\n');
            }
            (None, Some(fence)) => {
                let info = body.trim_start_matches(['`', '~']).trim();
                let language = info.split([' ', '{', ',']).next().unwrap_or_default().to_ascii_lowercase();
                let indent = (line.chars().count() - body.chars().count()) as u64;
                open = Some((fence, Block { language, line: i as u64 + 2, indent, text: String::new() }));
            }
            (None, None) => prose.push((i as u64 + 1, line.to_owned())),
        }
    }
    blocks.extend(open.map(|(_, block)| block));
    (blocks, prose)
}
