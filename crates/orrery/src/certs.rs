//! `orrery certs`: an authority and certificates for those who have none, certificates explained, certificates
//! denied.

use std::{net::IpAddr, path::PathBuf};

use anyhow::{Context, Result, bail};
use base::Clock;
use clap::{Args, Subcommand};
use net::certs::{self, Facts, Leaf, Report};

#[derive(Debug, Subcommand)]
pub enum Certs {
    /// Make an authority: ca.crt, ca.key and an empty deny list
    Init(Init),
    /// Issue a certificate for a cluster; what was issued for it before is replaced
    Issue(Issue),
    /// Explain certificates and keys: what they say, who signed them, what is wrong and what to do
    Check(Check),
    /// Put a certificate on the deny list
    Deny(Deny),
}

#[derive(Debug, Args)]
pub struct Init {
    /// Where ca.crt and ca.key are written
    dir: PathBuf,
    /// How long the authority is valid
    #[arg(long, default_value_t = 3650)]
    days: u32,
    /// What the authority calls itself
    #[arg(long, default_value = "Orrery CA")]
    name: String,
}

#[derive(Debug, Args)]
pub struct Issue {
    /// The directory of the authority; NAME.crt and NAME.key are written there
    dir: PathBuf,
    /// The cluster it speaks for
    #[arg(value_name = "NAME")]
    cluster: String,
    /// A host name under which the node is called; may be repeated
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// An address under which the node is called; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    #[arg(long, default_value_t = 365)]
    days: u32,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Certificates and keys in PEM
    #[arg(value_name = "FILE", required_unless_present = "address")]
    files: Vec<PathBuf>,
    /// The authorities they should stand under
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// host:port of a server whose certificates to explain
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
}

#[derive(Debug, Args)]
pub struct Deny {
    /// The directory of the authority, whose denied.txt is added to
    dir: PathBuf,
    /// The certificate, or its serial number in hexadecimal
    #[arg(value_name = "SERIAL|FILE")]
    what: String,
}

pub fn run(what: Certs) -> Result<()> {
    let now_s = Clock::system().now_ns().div_euclid(1_000_000_000);
    match what {
        Certs::Init(args) => init(&args, now_s),
        Certs::Issue(args) => issue(args, now_s),
        Certs::Check(args) => check(&args, now_s),
        Certs::Deny(args) => deny(&args, now_s),
    }
}

fn init(args: &Init, now_s: i64) -> Result<()> {
    let made = certs::init(&args.dir, &args.name, args.days, now_s)?;
    println!(
        "{}  the authority, valid until {}: give it to every node",
        made.cert.display(),
        until(&made.facts)
    );
    println!("{}  its key: keep it here, whoever has it can speak for every cluster", made.key.display());
    println!("next: orrery certs issue {} NAME --dns HOST", args.dir.display());
    Ok(())
}

fn issue(args: Issue, now_s: i64) -> Result<()> {
    let leaf = Leaf { cluster: args.cluster, dns: args.dns, ips: args.ip, days: args.days };
    let issued = certs::issue(&args.dir, &leaf, now_s)?;
    let made = &issued.made;
    println!("{}  for cluster {}, valid until {}", made.cert.display(), leaf.cluster, until(&made.facts));
    println!("{}", made.key.display());
    if let Some(old) = &issued.replaced {
        println!("replaced the one with serial number {}, valid until {}", old.serial, until(old));
    }
    if issued.shortened {
        println!("note: it ends with the authority, before the {} days asked for", leaf.days);
    }
    if leaf.dns.is_empty() && leaf.ips.is_empty() {
        println!("note: it names no host; a node that others call needs --dns or --ip");
    }
    Ok(())
}

fn check(args: &Check, now_s: i64) -> Result<()> {
    let ca = args.ca.as_deref();
    let mut reports = Vec::new();
    if !args.files.is_empty() {
        reports.push(certs::check(&args.files, ca, now_s)?);
    }
    if let Some(address) = &args.address {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting")?;
        reports.push(runtime.block_on(certs::fetch(address, ca, now_s))?);
    }
    let problems: usize = reports.iter().map(show).sum();
    match problems {
        0 => Ok(()),
        1 => bail!("1 problem"),
        n => bail!("{n} problems"),
    }
}

/// Answers how many problems there are.
fn show(report: &Report) -> usize {
    for line in &report.lines {
        println!("{line}");
    }
    for problem in &report.problems {
        println!("problem: {problem}");
    }
    for advice in &report.advice {
        println!("note: {advice}");
    }
    report.problems.len()
}

fn deny(args: &Deny, now_s: i64) -> Result<()> {
    let added = certs::deny(&args.dir, &args.what, now_s)?;
    let list = args.dir.join(certs::DENY_LIST);
    match added.known {
        true => println!("{} was on {} already", added.serial, list.display()),
        false => println!("{} is on {} now, with {} in all", added.serial, list.display(), added.total),
    }
    println!("nodes whose deny names that file, or a copy of it, refuse it from their next handshake on");
    Ok(())
}

fn until(facts: &Facts) -> String {
    certs::date(facts.not_after)
}
