//! `orrery query sql STATEMENT`: asks a node and prints the rows as a table, or the answer as it comes.

use std::{
    io::{IsTerminal, Read, Write},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use net::{Client, Request};
use serde_json::{Value, json};

use crate::cli;

#[derive(Debug, Subcommand)]
pub enum Query {
    /// Ask in SQL: tables logs, metrics and spans
    Sql(Sql),
}

#[derive(Debug, Args)]
pub struct Sql {
    /// The statement; `-` reads it from standard input
    #[arg(value_name = "STATEMENT")]
    statement: String,
    /// The node to ask, http://host:port
    #[arg(long, default_value = "http://127.0.0.1:9494")]
    to: String,
    /// Read nothing before this: RFC 3339, or seconds since 1970
    #[arg(long)]
    from: Option<String>,
    /// Read nothing from this on
    #[arg(long)]
    until: Option<String>,
    /// Rows at most; 0 for all
    #[arg(long, default_value_t = 1000)]
    limit: u64,
    /// How rows are printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// How long the answer may take
    #[arg(long, value_parser = cli::duration, default_value = "2m")]
    timeout: Duration,
    /// Sent as X-Scope-OrgID
    #[arg(long)]
    tenant: Option<String>,
    /// Sent as a bearer token; taken from ORRERY_TOKEN where it is not given
    #[arg(long, env = "ORRERY_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Csv,
}

/// Answers larger than this are for programs, not for a terminal.
const MAX_ANSWER_BYTES: usize = 1 << 30;
/// A statement on standard input.
const MAX_STATEMENT_BYTES: u64 = 1 << 20;
/// Longer values are cut in a table.
const MAX_CELL: usize = 200;
/// The node ends late answers itself and says why.
const GRACE: Duration = Duration::from_secs(10);

pub fn run(what: Query) -> Result<()> {
    let Query::Sql(args) = what;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(sql(args))
}

async fn sql(args: Sql) -> Result<()> {
    let statement = match args.statement.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin().take(MAX_STATEMENT_BYTES).read_to_string(&mut text)?;
            text
        }
        given => given.to_owned(),
    };
    let format = if args.output == Output::Csv { "csv" } else { "json" };
    let body = json!({
        "query": statement,
        "from": args.from,
        "to": args.until,
        "limit": args.limit,
        "format": format,
        "timeout": args.timeout.as_secs_f64(),
    });
    let url = format!("{}/api/v1/sql", args.to.trim_end_matches('/'));
    let mut request = Request::post(url, body.to_string()).header("content-type", "application/json");
    request.timeout = args.timeout.saturating_add(GRACE);
    request.max_answer_bytes = MAX_ANSWER_BYTES;
    if let Some(tenant) = args.tenant {
        request = request.header("x-scope-orgid", tenant);
    }
    if let Some(token) = args.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = Client::new()?.send(request).await.context("asking the node")?;
    if !answer.status.is_success() {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let why = said["error"].as_str().map_or_else(|| answer.excerpt(), str::to_owned);
        bail!("{}: {why}", answer.status);
    }
    if args.output != Output::Table {
        std::io::stdout().write_all(&answer.body)?;
        if args.output == Output::Json && std::io::stdout().is_terminal() {
            println!();
        }
        return Ok(());
    }
    let answer: Value = serde_json::from_slice(&answer.body).context("reading the answer")?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    write!(out, "{}", table(&answer))?;
    out.flush()?;
    notes(&answer)
}

/// What is to be known about the answer goes where it is in nobody's way.
fn notes(answer: &Value) -> Result<()> {
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        eprintln!("warning: {}", warning.as_str().unwrap_or_default());
    }
    match answer["error"].as_str() {
        Some(e) => Err(anyhow!("the answer ends early: {e}")),
        None => Ok(()),
    }
}

fn table(answer: &Value) -> String {
    let names = answer["columns"].as_array().into_iter().flatten();
    let head: Vec<String> = names.map(|c| shown(&c["name"])).collect();
    let rows = answer["rows"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> =
        rows.map(|r| r.as_array().into_iter().flatten().map(shown).collect()).collect();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|r| r.get(at)).chain(head.get(at));
        cells.map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// One line, whatever the value holds.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let mut cell: String =
        text.chars().take(MAX_CELL).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_CELL).is_some() {
        cell.push('…');
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_column_for_each_and_a_line_for_each_row() {
        let answer = json!({
            "columns": [{"name": "level"}, {"name": "n"}, {"name": "labels"}],
            "rows": [["error", 12, {"app": "a\nb"}], [null, 3, {}]],
        });
        assert_eq!(table(&answer), "level  n   labels\nerror  12  {\"app\":\"a\\nb\"}\n       3   {}\n");
        assert_eq!(shown(&json!("a\nb")), "a b");
        assert!(shown(&json!("x".repeat(500))).ends_with('…'));
    }
}
