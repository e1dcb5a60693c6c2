//! One line through its stages.
//!
//! [`compile`] turns the stages of a query into steps once; [`Pipeline::run`] sends a [`Row`] through them and
//! says whether it survives. Steps never fail: what goes wrong with a line becomes its `__error__` label, as in
//! Loki, so that a query can decide what to do with it.

use std::borrow::Cow;

use base::Clock;
use regex::Regex;

use crate::{
    ast::{Extraction, FormatSource, LabelChoice, LabelFormat, Stage},
    error::ParseError,
    re2,
    template::Template,
};

pub(crate) mod filter;
pub(crate) mod ip;
pub(crate) mod json;
pub(crate) mod labels;
pub(crate) mod line;
pub mod logfmt;
pub(crate) mod only;
pub(crate) mod pattern;
pub(crate) mod record;

use filter::LabelTest;
use labels::RowLabels;
use line::LineTest;

/// The labels that say what went wrong with a line.
pub const ERROR_LABEL: &str = "__error__";
pub const ERROR_DETAILS_LABEL: &str = "__error_details__";

/// A line on its way.
pub(crate) struct Row<'a> {
    pub ts_ns: i64,
    pub line: Cow<'a, str>,
    pub labels: RowLabels<'a>,
}

pub(crate) struct Pipeline {
    steps: Vec<Step>,
}

enum Step {
    Line(LineTest),
    Json,
    JsonPaths(Vec<(String, json::Path)>),
    Logfmt { strict: bool, keep_empty: bool, wanted: Vec<Extraction> },
    Regexp(Regex),
    Pattern(pattern::Pattern),
    Unpack,
    Decolorize(Regex),
    LineFormat(Template),
    LabelFormat(Vec<(String, Source)>),
    Label(LabelTest),
    Drop(Vec<LabelChoice>),
    Keep(Vec<LabelChoice>),
}

enum Source {
    Rename(String),
    Template(Template),
}

/// Prepares stages. `clock` is what the template function `now` reads.
pub(crate) fn compile(stages: &[Stage], clock: &Clock) -> Result<Pipeline, ParseError> {
    let steps = stages.iter().map(|s| compile_stage(s, clock)).collect::<Result<_, _>>()?;
    Ok(Pipeline { steps })
}

fn compile_stage(stage: &Stage, clock: &Clock) -> Result<Step, ParseError> {
    let whole = |e: String| ParseError::whole(e);
    Ok(match stage {
        Stage::Line(l) => Step::Line(LineTest::new(l).map_err(whole)?),
        Stage::Json(e) if e.is_empty() => Step::Json,
        Stage::Json(e) => Step::JsonPaths(
            e.iter()
                .map(|x| Ok((x.label.clone(), json::Path::parse(&x.path).map_err(whole)?)))
                .collect::<Result<_, ParseError>>()?,
        ),
        Stage::Logfmt { strict, keep_empty, extractions } => {
            Step::Logfmt { strict: *strict, keep_empty: *keep_empty, wanted: extractions.clone() }
        }
        Stage::Regexp(p) => {
            let re = re2::compile(p).map_err(|e| whole(format!("error parsing regexp: {e}")))?;
            if re.capture_names().flatten().next().is_none() {
                return Err(whole("at least one named capture must be supplied".to_owned()));
            }
            Step::Regexp(re)
        }
        Stage::Pattern(p) => Step::Pattern(pattern::Pattern::parser(p).map_err(whole)?),
        Stage::Unpack => Step::Unpack,
        // Control sequences: colours, cursor movement, erasing.
        Stage::Decolorize => Step::Decolorize(re2::compile(r"\x1b\[[0-9;?]*[A-Za-z]").map_err(whole)?),
        Stage::LineFormat(t) => Step::LineFormat(Template::parse(t, clock).map_err(whole)?),
        Stage::LabelFormat(formats) => Step::LabelFormat(label_formats(formats, clock)?),
        Stage::Label(l) => Step::Label(LabelTest::new(l).map_err(whole)?),
        Stage::Drop(c) => Step::Drop(c.clone()),
        Stage::Keep(c) => Step::Keep(c.clone()),
    })
}

fn label_formats(formats: &[LabelFormat], clock: &Clock) -> Result<Vec<(String, Source)>, ParseError> {
    let mut out: Vec<(String, Source)> = Vec::new();
    for f in formats {
        if f.label == ERROR_LABEL {
            return Err(ParseError::whole(format!("{ERROR_LABEL} cannot be formatted")));
        }
        if out.iter().any(|(l, _)| *l == f.label) {
            return Err(ParseError::whole(format!("duplicate label in label_format: {}", f.label)));
        }
        let source = match &f.source {
            FormatSource::Label(l) => Source::Rename(l.clone()),
            FormatSource::Template(t) => {
                Source::Template(Template::parse(t, clock).map_err(ParseError::whole)?)
            }
        };
        out.push((f.label.clone(), source));
    }
    Ok(out)
}

/// Whether what stages make of a line depends on when they do.
pub(crate) fn reads_clock(stages: &[Stage]) -> bool {
    stages.iter().any(|s| match s {
        Stage::LineFormat(t) => Template::reads_clock(t),
        Stage::LabelFormat(formats) => formats.iter().any(|f| match &f.source {
            FormatSource::Template(t) => Template::reads_clock(t),
            FormatSource::Label(_) => false,
        }),
        _ => false,
    })
}

impl Pipeline {
    /// Runs every step until one drops the row.
    pub fn run(&self, row: &mut Row<'_>) -> bool {
        self.steps.iter().all(|s| s.run(row))
    }

    /// Leaves parsers out: for metric queries whose result has no labels and that read none, as Loki does.
    /// Lines a parser would have marked with an error then count like any other.
    pub fn without_parsers(mut self) -> Self {
        self.steps.retain(|s| {
            !matches!(
                s,
                Step::Json | Step::JsonPaths(_) | Step::Logfmt { .. } | Step::Regexp(_) | Step::Pattern(_)
            )
        });
        self
    }
}

impl Step {
    fn run(&self, row: &mut Row<'_>) -> bool {
        match self {
            Step::Line(test) => return test.passes(&row.line),
            Step::Label(test) => return test.passes(&mut row.labels),
            Step::Json => {
                let labels = &mut row.labels;
                if let Err(e) = json::flatten(&row.line, &mut |key, value| labels.parsed(key, value)) {
                    labels.set_error("JSONParserErr", e);
                }
            }
            Step::JsonPaths(paths) => json_paths(row, paths),
            Step::Logfmt { strict, keep_empty, wanted } => logfmt_step(row, *strict, *keep_empty, wanted),
            Step::Regexp(re) => {
                if let Some(found) = re.captures(&row.line) {
                    for name in re.capture_names().flatten() {
                        let value = found.name(name).map_or("", |m| m.as_str());
                        row.labels.parsed(name, value);
                    }
                }
            }
            Step::Pattern(p) => {
                let labels = &mut row.labels;
                p.extract(&row.line, &mut |name, value| labels.parsed(name, value));
            }
            Step::Unpack => unpack(row),
            Step::Decolorize(re) => {
                if let Cow::Owned(clean) = re.replace_all(&row.line, "") {
                    row.line = Cow::Owned(clean);
                }
            }
            Step::LineFormat(t) => match t.render(row) {
                Ok(line) => row.line = Cow::Owned(line),
                Err(e) => row.labels.set_error("TemplateFormatErr", e),
            },
            Step::LabelFormat(formats) => label_format(row, formats),
            Step::Drop(choices) => {
                for c in choices {
                    if chosen(c, &row.labels) {
                        row.labels.remove(c.name());
                    }
                }
            }
            Step::Keep(choices) => keep(row, choices),
        }
        true
    }
}

fn chosen(choice: &LabelChoice, labels: &RowLabels<'_>) -> bool {
    match choice {
        LabelChoice::Name(_) => true,
        LabelChoice::Matching(m) => m.matches(labels.get(&m.name).unwrap_or("")),
    }
}

fn keep(row: &mut Row<'_>, choices: &[LabelChoice]) {
    let gone: Vec<String> = row
        .labels
        .iter()
        .filter(|(n, _)| *n != ERROR_LABEL && *n != ERROR_DETAILS_LABEL)
        .filter(|(n, _)| !choices.iter().any(|c| c.name() == *n && chosen(c, &row.labels)))
        .map(|(n, _)| n.to_owned())
        .collect();
    gone.iter().for_each(|n| row.labels.remove(n));
}

fn json_paths(row: &mut Row<'_>, paths: &[(String, json::Path)]) {
    for (label, path) in paths {
        match path.find(&row.line) {
            Ok(Some(value)) => row.labels.parsed(label, &value.text()),
            Ok(None) => row.labels.parsed(label, ""),
            Err(e) => return row.labels.set_error("JSONParserErr", e),
        }
    }
}

fn logfmt_step(row: &mut Row<'_>, strict: bool, keep_empty: bool, wanted: &[Extraction]) {
    let labels = &mut row.labels;
    let mut take = |key: &str, value: &str| {
        if value.is_empty() && !keep_empty {
            return;
        }
        if wanted.is_empty() {
            labels.parsed(key, value);
        } else {
            wanted.iter().filter(|w| w.path == key).for_each(|w| labels.parsed(&w.label, value));
        }
    };
    if let Err(e) = logfmt::decode(&row.line, strict, &mut take) {
        labels.set_error("LogfmtParserErr", e);
    }
}

/// Undoes Promtail's `pack`: a JSON object of strings whose `_entry` is the line.
fn unpack(row: &mut Row<'_>) {
    let mut found = Vec::new();
    let mut entry = None;
    let result = json::each_member(&row.line, &mut |key, value| {
        if let json::Value::String(_) = value {
            match key {
                "_entry" => entry = Some(value.text().into_owned()),
                _ => found.push((labels::sanitise(key), value.text().into_owned())),
            }
        }
    });
    match (result, entry) {
        (Err(e), _) => row.labels.set_error("JSONParserErr", e),
        (Ok(()), None) => {}
        (Ok(()), Some(line)) => {
            found.iter().for_each(|(k, v)| row.labels.parsed(k, v));
            row.line = Cow::Owned(line);
        }
    }
}

fn label_format(row: &mut Row<'_>, formats: &[(String, Source)]) {
    for (label, source) in formats {
        match source {
            Source::Rename(from) => row.labels.rename(from, label),
            Source::Template(t) => match t.render(row) {
                Ok(value) => row.labels.set(label, value),
                Err(e) => row.labels.set_error("TemplateFormatErr", e),
            },
        }
    }
}
