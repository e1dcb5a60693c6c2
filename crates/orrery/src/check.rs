//! `orrery check config FILE…`, `orrery check forward FILE`.

pub mod forward;

use std::process::ExitCode;

use anyhow::{Context, Result};
use config::lint::{self, Checked, Severity};

use crate::cli::CheckConfig;

/// Ends with 1 where a file has an error, and with `--lint-fatal` with 3 where it has only warnings, as promtool does.
pub fn config(args: &CheckConfig) -> ExitCode {
    let checked = lint::check(&args.files);
    let told = match args.json {
        true => json(&checked),
        false => {
            checked.iter().for_each(tell);
            Ok(())
        }
    };
    if let Err(e) = told {
        eprintln!("error: {e:#}");
        return ExitCode::FAILURE;
    }
    let has = |severity| checked.iter().any(|c| c.findings.iter().any(|f| f.severity == severity));
    match () {
        () if has(Severity::Error) => ExitCode::FAILURE,
        () if args.lint_fatal && has(Severity::Warning) => ExitCode::from(3),
        () => ExitCode::SUCCESS,
    }
}

fn json(checked: &[Checked]) -> Result<()> {
    let text = serde_json::to_string_pretty(checked).context("writing the report as JSON")?;
    println!("{text}");
    Ok(())
}

fn tell(c: &Checked) {
    let count = |severity| c.findings.iter().filter(|f| f.severity == severity).count();
    let outcome = match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => "is valid".to_owned(),
        (errors, warnings) => format!("has {errors} error(s), {warnings} warning(s)"),
    };
    let kinds: Vec<&str> = c.kinds.iter().map(|k| k.name()).collect();
    println!("{} {outcome}, taken for: {}", c.path.display(), kinds.join(", "));
    for finding in &c.findings {
        println!("{finding}");
    }
    if let Some(node) = &c.node {
        describe(node);
    }
}

/// What a valid configuration of our own amounts to.
fn describe(node: &config::Node) {
    let shown = |l: &Option<config::Listener>| match l {
        Some(l) if l.tls.is_some() => format!("{} with TLS", l.address),
        Some(l) => l.address.to_string(),
        None => "off".to_owned(),
    };
    for notice in &node.notices {
        println!("  note: {notice}");
    }
    let l = &node.listen;
    let listeners = [
        ("http", &l.http),
        ("otlp_grpc", &l.otlp_grpc),
        ("otlp_http", &l.otlp_http),
        ("elasticsearch", &l.elasticsearch),
        ("zipkin", &l.zipkin),
        ("jaeger_http", &l.jaeger_http),
        ("jaeger_grpc", &l.jaeger_grpc),
        ("syslog", &l.syslog),
        ("peers", &l.peers),
    ];
    println!("  listen {}", listeners.map(|(name, at)| format!("{name} {}", shown(at))).join(", "));
    println!("  data in {}, memory limit {} MiB", node.data_dir.display(), node.memory.limit_bytes >> 20);
    println!("  {} scrape job(s)", node.scrape.len());
    for d in &node.forward {
        println!("  forwards to {} ({}): {}", d.name, d.protocol.as_str(), d.http.urls.join(", "));
    }
}
