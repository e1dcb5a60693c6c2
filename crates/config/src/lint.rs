//! What no reader of a format finds: files that are valid and do not do what they were written for. Prometheus,
//! Alertmanager, Collector, vmauth, Grafana's data sources and Kubernetes manifests are taken as they stand, each
//! told by its content, and so are the files in their values and the blocks of Markdown.
//!
//! ```text
//! paths ─ source::Source (documents, each value with its place) ─ tree::Tree ─┬─ rules of one document
//!            └ kind::recognise                                                └─ rules across all files
//! ```
//!
//! A rule goes by the shape of what it is about, not by the kind of the file: two `keep` rules exclude each other
//! in a Helm chart's values as they do in `prometheus.yml`. Rules prefer silence to a false alarm.

mod address;
mod alertmanager;
mod backup;
mod collector;
mod command;
mod datasources;
mod elastic;
mod endpoints;
mod finding;
mod kind;
mod language;
mod metrics;
mod ports;
mod relabel;
mod source;
mod storeapi;
mod tree;
mod vmauth;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Serialize;

use self::{
    command::Command,
    finding::{Findings, Told},
    source::Source,
    tree::Tree,
};
pub use self::{
    finding::{Finding, Severity},
    kind::Kind,
};
use crate::{
    Error,
    check::Checker,
    prometheus,
    yaml::{At, Node},
};

/// What there is to say of one file.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub path: PathBuf,
    /// What it was taken for; more than one where it holds several documents.
    pub kinds: Vec<Kind>,
    /// By path and line; some may be about files it includes.
    pub findings: Vec<Finding>,
    /// The node it configures, where it is Orrery's own and valid.
    #[serde(skip)]
    pub node: Option<Box<crate::Node>>,
}

/// Files looked at in one run, those that others name included.
const MAX_FILES: usize = 1000;

/// Checks files together, and those of them that others name: rules, and what an Orrery configuration refers to.
pub fn check(paths: &[PathBuf]) -> Vec<Checked> {
    let read = read_all(paths);
    let trees: Vec<Vec<Tree<'_>>> =
        read.iter().map(|f| f.source.documents.iter().map(Tree::of).collect()).collect();
    let files: Vec<File<'_>> =
        read.iter().zip(&trees).map(|(r, trees)| File { path: &r.path, source: &r.source, trees }).collect();
    let mut told: Vec<Findings> = files.iter().map(|f| Findings::of(f.path)).collect();
    for (file, found) in files.iter().zip(&mut told) {
        one(file, found);
    }
    across(&files, &mut told);
    drop(files);
    drop(trees);
    let mut all = Vec::new();
    // A file that is given and included by another is told of once.
    let mut once = HashSet::new();
    for (r, found) in read.into_iter().zip(told) {
        let mut findings = r.found;
        findings.append(found);
        let mut findings = findings.sorted();
        findings.retain(|f| once.insert((f.path.clone(), f.line, f.column, f.rule, f.message.clone())));
        all.push(Checked { path: r.path, kinds: r.source.kinds, findings, node: r.node });
    }
    all
}

/// A file with its documents laid out.
struct File<'f> {
    path: &'f Path,
    source: &'f Source,
    trees: &'f [Tree<'f>],
}

struct Read {
    path: PathBuf,
    source: Source,
    found: Findings,
    node: Option<Box<crate::Node>>,
}

fn read_all(paths: &[PathBuf]) -> Vec<Read> {
    let mut todo: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut read = Vec::new();
    while let Some(path) = todo.pop() {
        if seen.len() >= MAX_FILES
            || !seen.insert(std::path::absolute(&path).unwrap_or_else(|_| path.clone()))
        {
            continue;
        }
        let file = read_one(path);
        todo.extend(named(&file).into_iter().rev());
        read.push(file);
    }
    read
}

fn read_one(path: PathBuf) -> Read {
    let mut found = Findings::of(&path);
    let text = crate::read(&path).unwrap_or_else(|e| {
        let told = Told {
            severity: Severity::Error,
            rule: "not-read",
            message: e.to_string(),
            effect: "nothing here was checked".to_owned(),
            instead: String::new(),
        };
        found.add(At::default(), "", told);
        String::new()
    });
    let is_empty = text.is_empty();
    let mut source = Source::read(&path, text, &mut found);
    if is_empty && !found.is_empty() {
        source.kinds = vec![Kind::Unknown];
    }
    let mut node = None;
    if source.kinds.contains(&Kind::Orrery) && !source.kinds.contains(&Kind::Markdown) {
        match crate::parse(&source.text, &path) {
            Ok(n) => node = Some(Box::new(n)),
            Err(Error::Invalid(problems)) => {
                for p in problems {
                    found.add_problem(p, "a node refuses to start with it, and to reload it");
                }
            }
            Err(_) => {}
        }
    }
    if source.kinds.contains(&Kind::Prometheus) && !source.kinds.contains(&Kind::Markdown) {
        refused(&path, &source, &mut found);
    }
    if source.kinds == [Kind::Unknown] && found.is_empty() {
        let told = Told {
            severity: Severity::Warning,
            rule: "not-recognised",
            message: "YAML of no kind known".to_owned(),
            effect: "only what can be told by its shape was checked".to_owned(),
            instead: String::new(),
        };
        found.add(At { line: 1, column: 1 }, "", told);
    }
    Read { path, source, found, node }
}

/// What Prometheus itself does not take.
fn refused(path: &Path, source: &Source, found: &mut Findings) {
    for document in &source.documents {
        if !document.inside.is_empty() || kind::recognise(&document.root) != Kind::Prometheus {
            continue;
        }
        let mut c = Checker::of_file(path);
        prometheus::check(&document.root, 0, &mut c);
        for mut p in c.into_problems() {
            let field = p.field.strip_prefix("prometheus").unwrap_or(&p.field);
            p.field = field.trim_start_matches('.').to_owned();
            found.add_problem(p, "Prometheus refuses to start with it, and to reload it");
        }
    }
}

/// Files that a file names and that belong to the same check.
fn named(file: &Read) -> Vec<PathBuf> {
    let beside = |name: &str| match file.path.parent() {
        Some(dir) if Path::new(name).is_relative() => dir.join(name),
        _ => PathBuf::from(name),
    };
    let mut out = Vec::new();
    for document in &file.source.documents {
        let root = &document.root;
        match kind::recognise(root) {
            Kind::Prometheus => {
                for key in ["rule_files", "scrape_config_files"] {
                    let patterns = root.get(key).map(Node::texts).unwrap_or_default();
                    out.extend(patterns.iter().flat_map(|p| prometheus::matching(&beside(p))));
                }
            }
            Kind::Orrery => {
                let keys = ["prometheus", "collector", "alertmanager"];
                let names = keys.iter().filter_map(|k| root.text_of(&[*k]));
                out.extend(names.map(beside).filter(|p| p.exists()));
            }
            _ => {}
        }
    }
    out
}

/// Rules that need one file only.
fn one(file: &File<'_>, found: &mut Findings) {
    for tree in file.trees {
        relabel::check(tree, found);
        alertmanager::check(tree, found);
        endpoints::check(tree, file.source, found);
        datasources::check(tree, found);
        collector::check(tree, found);
        vmauth::check(tree, found);
        ports::check(tree, found);
        elastic::check_keys(tree, found);
        for command in Command::all_in(tree) {
            of_command(&command, found);
        }
    }
    for block in &file.source.blocks {
        match block.language.as_str() {
            "mermaid" => storeapi::check_diagram(block, &file.source.text, found),
            _ => Command::all_of(block).iter().for_each(|c| of_command(c, found)),
        }
    }
}

fn of_command(command: &Command, found: &mut Findings) {
    backup::check(command, found);
    storeapi::check(command, found);
    elastic::check_flags(command, found);
}

/// Rules about what one file says and another does not.
fn across(files: &[File<'_>], found: &mut [Findings]) {
    metrics::check(files, found);
    vmauth::check_tenants(files, found);
    elastic::check_domains(files, found);
}

#[cfg(test)]
mod tests;
