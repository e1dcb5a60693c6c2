//! `prometheus.yml`, schema as Prometheus 3 has it. What is about scraping, remote writing and OTLP is served; everything else is checked
//! as Prometheus checks it and named in a notice, so that a file that works there works here and nobody takes
//! for done what is not.
//!
//! ```text
//! text ─ yaml::parse ─ section::Section ─┬─ global ─┬─► jobs
//!                                        ├─ scrape ─┘   (http, relabel, discovery)
//!                                        └─ elsewhere, cloud, kubernetes ─► notices
//! ```

mod cloud;
mod discovery;
mod elsewhere;
mod global;
pub(crate) mod http;
mod kubernetes;
pub(crate) mod relabel;
mod remote_write;
mod scrape;
pub(crate) mod section;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use agent::scrape::ScrapeConfig;

use self::{elsewhere::is_pattern, global::Global, section::Section};
use crate::{
    check::Checker,
    forward::Destination,
    otlp::Otlp,
    yaml::{self, At, Node},
};

/// What a file asks for.
#[derive(Debug, Default)]
pub(crate) struct Prometheus {
    pub(crate) jobs: Vec<ScrapeConfig>,
    pub(crate) external_labels: BTreeMap<String, String>,
    pub(crate) otlp: Option<Otlp>,
    pub(crate) remote_write: Vec<Destination>,
}

/// Files that one `scrape_config_files` pattern may stand for.
const MAX_FILES: usize = 10_000;

/// Checks a file. For an inline one the positions are those of the file around it. `backlog` is how many bytes a
/// destination of `remote_write` may be behind.
pub(crate) fn check(root: &Node, backlog: u64, c: &mut Checker<'_>) -> Prometheus {
    let Some(mut s) = Section::open(root, "prometheus", c) else { return Prometheus::default() };
    let global_section = s.section("global", c);
    let global = global::check(global_section, c);
    let mut jobs = Jobs::default();
    for job in s.sections("scrape_configs", c) {
        jobs.add(job, &global, c);
    }
    let patterns = s.texts("scrape_config_files", c).unwrap_or_default();
    for pattern in &patterns {
        match is_pattern(pattern) {
            true => included(pattern, s.place("scrape_config_files"), &global, &mut jobs, c),
            false => {
                let message = format!("{pattern:?} may have at most one *, in its last element");
                s.problem("scrape_config_files", c, message);
            }
        }
    }
    let otlp = elsewhere::check(&mut s, global.names, c);
    let remote_write = remote_write::check(&mut s, global.names, backlog, c);
    s.finish(c);
    Prometheus { jobs: jobs.all, external_labels: global.external_labels, otlp, remote_write }
}

/// The jobs of all files, each with a name of its own.
#[derive(Default)]
struct Jobs {
    all: Vec<ScrapeConfig>,
}

impl Jobs {
    fn add(&mut self, section: Section<'_>, global: &Global, c: &mut Checker<'_>) {
        let (field, at) = (section.name("job_name"), section.place("job_name"));
        let job = scrape::check(section, global, c);
        if !job.job_name.is_empty() && self.all.iter().any(|j| j.job_name == job.job_name) {
            let message = format!(
                "{:?} is used by another scrape_configs entry; give each a name of its own",
                job.job_name
            );
            c.problem_at(&field, at, message);
        }
        self.all.push(job);
    }
}

/// Reads the files of a `scrape_config_files` pattern. A pattern that matches nothing is no problem.
fn included(pattern: &str, at: At, global: &Global, jobs: &mut Jobs, c: &mut Checker<'_>) {
    for path in matching(&c.resolve(pattern)) {
        let text = match crate::read(&path) {
            Ok(text) => text,
            Err(e) => {
                c.problem_at("prometheus.scrape_config_files", at, e.to_string());
                continue;
            }
        };
        c.within(&path, |c| match yaml::parse(&text) {
            Err(e) => c.problem_at("", e.at, e.message),
            Ok(root) => {
                let Some(mut s) = Section::open(&root, "prometheus", c) else { return };
                for job in s.sections("scrape_configs", c) {
                    jobs.add(job, global, c);
                }
                s.finish(c);
            }
        });
    }
}

/// The files a pattern with wildcards in its last element stands for, sorted; a plain name stands for itself.
pub(crate) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let Some(last) = pattern.file_name().map(|n| n.to_string_lossy().into_owned()) else { return Vec::new() };
    let Some((before, after)) = last.split_once('*') else {
        return if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() };
    };
    let directory = pattern.parent().unwrap_or(Path::new("."));
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().take(MAX_FILES);
    let mut found: Vec<PathBuf> = names
        .filter(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        })
        .map(|e| e.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests;
