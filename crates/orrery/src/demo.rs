//! `orrery demo`: three clusters as processes on this machine, over mutual TLS, and a small traced shop whose
//! requests cross two of them.
//!
//! ```text
//! plan       who is there: names, ports, files; each node's orrery.yaml
//! home       the directory: whose it is, certificates, what an earlier demo left behind
//! child      one process: started with its log, watched, started again, stopped
//! look       asks the global node: does it see everybody, which trace crosses clusters
//! page       what is printed once all is there
//! ```
//! Everything is done through the program's own commands and configuration, so that what the demo does can be
//! done by hand.

mod child;
mod home;
mod look;
mod page;
mod plan;

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use base::{Clock, Shutdown};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    child::{Process, Program},
    home::Home,
    look::Hub,
    plan::Plan,
};

/// How long a process may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long the global node may take until it has heard from both clusters and seen a trace of both.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at whether something is there, or still there.
const TICK: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub struct Demo {
    /// Certificates, configurations, data and logs; made where it is not there
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    dir: PathBuf,
    /// The first of 50 ports on 127.0.0.1
    #[arg(long, value_name = "BASE", default_value_t = 9500)]
    ports: u16,
    /// Requests a second to the shop
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    load: f64,
}

pub fn run(args: Demo) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(demo(args))
}

async fn demo(args: Demo) -> Result<()> {
    let (stop, hurry) = (Shutdown::new(), Shutdown::new());
    watch_signals(&stop, &hurry)?;
    let tell = Teller::new(Clock::system());
    let plan = Plan::new(&args.dir, args.ports, args.load)?;
    let home = Home::prepare(&plan, &tell.clock)?;
    plan.free_ports().map_err(|e| home.blame(e))?;
    let mut all = Vec::new();
    let outcome = tokio::select! {
        outcome = live(&plan, &home, &mut all, &tell, &stop) => outcome,
        () = stop.started() => Ok(()),
    };
    child::stop_all(all, &tell, &hurry).await;
    home.forget();
    outcome
}

/// Starts everything in order, prints the page, and keeps what dies alive. Ends only with an error; `all` is
/// what runs by then.
async fn live(
    plan: &Plan,
    home: &Home,
    all: &mut Vec<Process>,
    tell: &Teller,
    stop: &Shutdown,
) -> Result<()> {
    tell.say(&format!("certificates and configurations are in {}", plan.dir.display()));
    let hub = Hub::new(plan, tell.clock.clone())?;
    let mut programs = plan.nodes();
    // The global node first to stop and last to start: whom it asks is there by then.
    programs.reverse();
    start(programs, &hub, home, all, tell, stop).await?;
    start(plan.services(), &hub, home, all, tell, stop).await?;
    tell.say("waiting until ops-01 has heard of both clusters and of a trace that crosses them");
    let seen = hub.wait_for_everybody(SEEN_WITHIN).await;
    if let Some(missing) = seen.missing() {
        tell.say(&format!("after {SEEN_WITHIN:?} {missing}; the logs in {} say why", plan.dir.display()));
    }
    // Who reads the page may have gone by now, as `| head` does; the clusters stay.
    if let Err(e) = std::io::stdout().write_all(page::page(plan, all, &seen).as_bytes()) {
        tell.say(&format!("the page could not be printed: {e}"));
    }
    loop {
        for process in all.iter_mut() {
            if let Some(event) = process.tend(&tell.clock)? {
                tell.say(&event);
                home.remember(process.name(), process.pid())?;
            }
        }
        tell.clock.sleep(TICK).await;
    }
}

/// Starts programs at once and waits until each answers.
async fn start(
    programs: Vec<Program>,
    hub: &Hub,
    home: &Home,
    all: &mut Vec<Process>,
    tell: &Teller,
    stop: &Shutdown,
) -> Result<()> {
    let first = all.len();
    for program in programs {
        let process = Process::start(program, home.binary())?;
        home.remember(process.name(), process.pid())?;
        all.push(process);
    }
    let deadline = tell.clock.monotonic() + READY_WITHIN;
    for process in all.iter_mut().skip(first) {
        while !hub.answers(process.ready_url()).await {
            if let Some(how) = process.ended()? {
                bail!("{} {how} before it answered; {}", process.name(), process.last_words());
            }
            if tell.clock.monotonic() > deadline {
                bail!("{} does not answer after {READY_WITHIN:?}; {}", process.name(), process.last_words());
            }
            if stop.is_started() {
                return Ok(());
            }
            tell.clock.sleep(TICK).await;
        }
        tell.say(&format!("{} is ready, process {}", process.name(), process.pid()));
    }
    Ok(())
}

/// The first signal stops in order, the second at once.
fn watch_signals(stop: &Shutdown, hurry: &Shutdown) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("watching SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching SIGINT")?;
    let (stop, hurry) = (stop.clone(), hurry.clone());
    tokio::spawn(async move {
        for how in [stop, hurry] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            how.start();
        }
    });
    Ok(())
}

/// Progress, on stderr, with the seconds since the start.
struct Teller {
    clock: Clock,
    began: std::time::Instant,
}

impl Teller {
    fn new(clock: Clock) -> Self {
        Teller { began: clock.monotonic(), clock }
    }

    fn say(&self, what: &str) {
        let seconds = self.clock.monotonic().duration_since(self.began).as_secs_f64();
        let _ = writeln!(std::io::stderr(), "{seconds:>6.1}s  {what}");
    }
}
