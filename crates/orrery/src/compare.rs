//! `orrery compare A B FILES…`: what two addresses answer to the expressions of dashboards and rules.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use base::{Clock, Shutdown};
use clap::Args;
use migrate::{
    Target,
    compare::{self, Dashboard, Expression, Options, Range, Tolerance, dashboard},
};

use crate::{cli, progress::Line};

/// Nothing differs.
const SAME: u8 = 0;
const DIFFERENT: u8 = 1;
/// The comparison could not be made.
const TROUBLE: u8 = 2;
/// Folders inside folders that are looked into.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Args)]
#[command(
    after_help = "Ends with 0 when nothing differs, 1 when something does, 2 when it could not be compared."
)]
pub struct Compare {
    /// The address that is taken for right, http://[user:password@]host:port[/path]
    #[arg(value_name = "A")]
    a: String,
    /// The address that is compared with it
    #[arg(value_name = "B")]
    b: String,
    /// Grafana dashboards (.json) and rule files (.yaml, .yml), or folders of them
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
    /// A further expression; may be repeated
    #[arg(long = "query", value_name = "EXPRESSION")]
    queries: Vec<String>,
    /// Length of a range, with its step after a colon: 1h, 24h:5m; may be repeated
    #[arg(long = "range", value_name = "LENGTH[:STEP]", default_value = "1h")]
    ranges: Vec<String>,
    /// Where ranges end: RFC 3339 or seconds since 1970; two minutes ago without it
    #[arg(long, value_name = "TIME", value_parser = cli::time)]
    end: Option<i64>,
    /// How far values may lie apart, as a share of the larger one
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,
    /// Take this label off every series first; may be repeated
    #[arg(long = "ignore-label", value_name = "NAME")]
    ignore_labels: Vec<String>,
    /// Value of a dashboard's variable, NAME=VALUE; others are found by asking A
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// What dashboards take the scrape interval to be
    #[arg(long, value_parser = cli::duration, default_value = "15s")]
    scrape_interval: Duration,
    /// Sent to both as X-Scope-OrgID
    #[arg(long)]
    tenant: Option<String>,
    /// A further header for both, NAME=VALUE; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// Questions under way at once; each goes to both addresses
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
    /// How long one answer may take
    #[arg(long, value_parser = cli::duration, default_value = "1m")]
    timeout: Duration,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Compare) -> ExitCode {
    match compare(args) {
        Ok(true) => SAME.into(),
        Ok(false) => DIFFERENT.into(),
        Err(e) => {
            eprintln!("error: {}", crate::told_once(&e));
            TROUBLE.into()
        }
    }
}

fn compare(args: Compare) -> Result<bool> {
    let clock = Clock::system();
    let end_ms = args.end.unwrap_or_else(|| clock.now_ms() - 120_000);
    let headers = cli::headers(&args.headers)?;
    let target = |address: &str| Target::new(address, args.tenant.as_deref(), &headers);
    let mut found = Found::default();
    args.files.iter().try_for_each(|f| found.read(f, 0, true))?;
    for (i, text) in args.queries.iter().enumerate() {
        let source = format!("query {}", i + 1);
        found.expressions.push(Expression { source, text: text.clone(), instant: false });
    }
    if found.dashboards.is_empty() && found.expressions.is_empty() {
        bail!("nothing to compare: name dashboards, rule files, folders of them, or --query");
    }
    let options = Options {
        a: target(&args.a)?,
        b: target(&args.b)?,
        dashboards: found.dashboards,
        expressions: found.expressions,
        ranges: args.ranges.iter().map(|r| range(r, end_ms)).collect::<Result<_>>()?,
        tolerance: Tolerance { relative: args.tolerance, ..Tolerance::default() },
        ignore_labels: args.ignore_labels,
        variables: cli::pairs(&args.variables).context("reading --var")?,
        scrape_interval: args.scrape_interval,
        concurrency: args.concurrency,
        timeout: args.timeout,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let stop = Shutdown::new();
        cli::stop_on_interrupt(&stop);
        let mut line = Line::new(&clock);
        let report = compare::run(&options, &clock, &stop, |p| line.show(p)).await;
        line.end();
        match stop.is_started() {
            true => bail!("interrupted"),
            false => anyhow::Ok(report?),
        }
    })?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => {
            found.ignored.iter().for_each(|why| println!("left out: {why}"));
            print!("{report}");
        }
    }
    if report.is_nothing() {
        bail!("nothing was compared: no expression could be asked and answered; the reasons stand above");
    }
    Ok(report.is_same())
}

fn range(text: &str, end_ms: i64) -> Result<Range> {
    let (length, step) = text.split_once(':').map_or((text, None), |(l, s)| (l, Some(s)));
    let duration = |s: &str| cli::duration(s).map_err(|e| anyhow::anyhow!("--range {text:?}: {e}"));
    Ok(Range::new(end_ms, duration(length)?, step.map(duration).transpose()?)?)
}

#[derive(Default)]
struct Found {
    dashboards: Vec<Dashboard>,
    expressions: Vec<Expression>,
    ignored: Vec<String>,
}

impl Found {
    /// `named`: by the user, not found in a folder, so that it has to be readable.
    fn read(&mut self, path: &Path, depth: usize, named: bool) -> Result<()> {
        let shown = path.display().to_string();
        let kind = std::fs::metadata(path).with_context(|| format!("reading {shown}"))?;
        if kind.is_dir() {
            if depth > MAX_DEPTH {
                bail!("{shown} lies more than {MAX_DEPTH} folders deep");
            }
            let entries = std::fs::read_dir(path).with_context(|| format!("listing {shown}"))?;
            let mut paths = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
            paths.sort();
            return paths.iter().try_for_each(|p| self.read(p, depth + 1, false));
        }
        let outcome = match path.extension().and_then(|e| e.to_str()) {
            Some("json") => self.dashboard(path, &shown),
            Some("yaml" | "yml") => self.rules(path, &shown),
            _ if named => bail!("{shown} is neither a dashboard (.json) nor a rule file (.yaml)"),
            _ => return Ok(()),
        };
        match outcome {
            Err(e) if !named => {
                self.ignored.push(crate::told_once(&e));
                Ok(())
            }
            other => other,
        }
    }

    fn dashboard(&mut self, path: &Path, shown: &str) -> Result<()> {
        let text = std::fs::read(path).with_context(|| format!("reading {shown}"))?;
        let d = dashboard::parse(&text, shown).map_err(anyhow::Error::msg)?;
        if d.expressions.is_empty() {
            self.ignored.push(format!("{shown} asks nothing of a Prometheus"));
        } else {
            self.dashboards.push(d);
        }
        Ok(())
    }

    fn rules(&mut self, path: &Path, shown: &str) -> Result<()> {
        let rules = config::rule_expressions(path)?;
        if rules.is_empty() {
            self.ignored.push(format!("{shown} has no rules"));
        }
        self.expressions.extend(rules.into_iter().map(|r| Expression {
            source: format!("{shown}:{} › {} › {}", r.line, r.group, r.name),
            text: r.expr,
            instant: false,
        }));
        Ok(())
    }
}
