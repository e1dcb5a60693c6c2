//! A laboratory: hosts in network namespaces of their own, with links that a test makes as bad as it wants.
//!
//! The links are a program, `lab/switch.py`, because a kernel without netem delays and loses nothing by itself.
//! The test process sits on the same switch under the name `test`, so it asks every host by its address.
//! Without root or `/dev/net/tun` there is no laboratory: tests print a line and pass, unless peers are required.

mod apart;
mod clusters;
mod fault;
mod links;
mod matrix;
mod questions;
mod scripts;
mod traces;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;

use crate::{node::root, peers};

pub use clusters::{HUB, PEERS};
pub use fault::Impostor;

/// The test's own place on the switch.
pub const TEST: &str = "test";

/// Hosts, and the switch between them. Whatever runs on a host ends with the laboratory.
pub struct Lab {
    switch: Child,
    control: Mutex<Control>,
    hosts: BTreeMap<String, Host>,
}

struct Control {
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// One place on the switch, with one address.
#[derive(Debug, Clone)]
pub struct Host {
    pub address: IpAddr,
    /// `None` is where the test itself runs.
    namespace: Option<String>,
}

/// How good a link is, in both directions; the default is as good as the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Link {
    pub delay: Duration,
    /// Added to the delay, different for each packet.
    pub jitter: Duration,
    /// Of all packets, 0 to 1.
    pub loss: f64,
    /// Of all packets, those that come twice.
    pub duplicate: f64,
    /// Bytes a second; 0 is no limit.
    pub rate: u64,
    /// Nothing passes.
    pub cut: bool,
}

/// What went one way since the laboratory was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
    pub lost: u64,
    pub duplicated: u64,
    /// Connections that were begun, by the port they went to; a repeated attempt counts once.
    pub opened: BTreeMap<u16, u64>,
}

impl Lab {
    /// Hosts of these names. The seed decides which packets bad links lose.
    pub fn new(seed: u64, names: &[&str]) -> Option<Lab> {
        let python = python()?;
        let mut switch = Command::new(python)
            .arg(script("switch.py"))
            .arg(seed.to_string())
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(switch.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let said: Value = serde_json::from_str(&first).unwrap_or_default();
        let mut hosts = BTreeMap::new();
        for (name, h) in said["hosts"].as_object().into_iter().flatten() {
            let address = h["address"].as_str().and_then(|a| a.parse().ok()).unwrap();
            let namespace = h["namespace"].as_str().map(str::to_owned);
            hosts.insert(name.clone(), Host { address, namespace });
        }
        if hosts.is_empty() {
            let _ = switch.wait();
            peers::absent(&format!(
                "the right to make network namespaces and TUN devices ({})",
                said["error"]
            ));
            return None;
        }
        let control = Mutex::new(Control { input: switch.stdin.take(), output });
        Some(Lab { switch, control, hosts })
    }

    pub fn host(&self, name: &str) -> &Host {
        self.hosts.get(name).unwrap_or_else(|| panic!("no host is named {name}"))
    }

    /// Makes the link between two hosts what `link` says.
    pub fn link(&self, a: &str, b: &str, link: Link) {
        self.command(&format!("link {a} {b} {}", link.words()));
    }

    pub fn delay(&self, a: &str, b: &str, delay: Duration) {
        self.link(a, b, Link { delay, ..Link::default() });
    }

    pub fn loss(&self, a: &str, b: &str, loss: f64) {
        self.link(a, b, Link { loss, ..Link::default() });
    }

    pub fn cut(&self, a: &str, b: &str) {
        self.link(a, b, Link { cut: true, ..Link::default() });
    }

    /// Makes every link good again.
    pub fn heal(&self) {
        self.command("heal");
    }

    pub fn traffic(&self, from: &str, to: &str) -> Traffic {
        let all: Value = serde_json::from_str(&self.command("stats")).unwrap();
        let found = all.as_array().into_iter().flatten().find(|w| w["from"] == from && w["to"] == to);
        let Some(way) = found else { return Traffic::default() };
        let n = |field: &str| way[field].as_u64().unwrap();
        let opened = way["opened"].as_object().into_iter().flatten();
        Traffic {
            packets: n("packets"),
            bytes: n("bytes"),
            lost: n("lost"),
            duplicated: n("duplicated"),
            opened: opened.map(|(port, n)| (port.parse().unwrap(), n.as_u64().unwrap())).collect(),
        }
    }

    /// One line to the switch; what it answers after `ok`.
    fn command(&self, line: &str) -> String {
        let mut control = self.control.lock();
        let input = control.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
        let mut answer = String::new();
        control.output.read_line(&mut answer).unwrap();
        let rest = answer.strip_prefix("ok").unwrap_or_else(|| panic!("{line}: the switch says {answer:?}"));
        rest.trim().to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The end of its input tells the switch to clear away what it made.
        self.control.lock().input = None;
        let _ = self.switch.wait();
    }
}

impl Host {
    /// A command that will run here.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                let mut c = Command::new("ip");
                c.args(["netns", "exec", namespace]).arg(program);
                c
            }
        }
    }
}

impl Link {
    fn words(&self) -> String {
        format!(
            "delay_ms={} jitter_ms={} loss={} duplicate={} rate={} cut={}",
            self.delay.as_millis(),
            self.jitter.as_millis(),
            self.loss,
            self.duplicate,
            self.rate,
            u8::from(self.cut)
        )
    }
}

fn python() -> Option<PathBuf> {
    peers::program("ip")?;
    peers::program("python3")
}

/// A program of the laboratory.
fn script(name: &str) -> PathBuf {
    Path::new(&root()).join("crates/orrery/tests/it/lab").join(name)
}
