//! The processes: a node for each cluster, and a hub that keeps nothing and asks them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use base::Clock;
use net::Client;
use tokio::process::Command;

use super::{FleetOptions, fill::Filled, share::Share};
use crate::{
    Error, Result,
    process::{Launch, PATIENCE, Process, TICK, bytes_in, files_in, free_port, get},
};

/// Says that a directory is one of ours, and what it is filled with.
pub(super) const MARK: &str = "filled.json";
const HUB: &str = "hub";
/// Bytes that are in memory for a sample while a query over it is answered, generously; and what a node needs beside.
const MEMORY_A_SAMPLE: u64 = 64;
const MEMORY_BESIDE: u64 = 1 << 30;

pub(super) struct Fleet {
    nodes: Vec<Node>,
    hub: Process,
    hub_url: String,
    client: Client,
    dir: PathBuf,
    keep: bool,
    limited: bool,
}

struct Node {
    name: String,
    process: Process,
    url: String,
    data: PathBuf,
    share: Option<Share>,
}

/// Bytes the hub has read from clusters, and written to them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moved {
    pub(super) received: u64,
    pub(super) sent: u64,
}

impl Fleet {
    pub(super) async fn start(o: &FleetOptions, clock: &Clock) -> Result<Fleet> {
        prepare(o)?;
        let names: Vec<String> = (1..=o.clusters).map(|n| format!("cluster-{n}")).collect();
        certificates(o, &names).await?;
        let (mut nodes, mut asked) = (Vec::new(), String::from("peers:\n"));
        for name in &names {
            let (http, peers) = (free_port(&o.binary)?, free_port(&o.binary)?);
            let launch = configure(o, name, http, &format!("peers: \"127.0.0.1:{peers}\""), "")?;
            asked.push_str(&format!("- {{name: {name}, address: \"localhost:{peers}\", timeout: 5m}}\n"));
            let (url, data) = (launch.url.clone(), launch.dir.join("data"));
            let process = Process::start(launch, clock).await?;
            let share = match o.cores_each {
                // One for each run: another may be under way.
                Some(cores) => Some(Share::make(&format!("orrery-bench-{http}"), cores)?),
                None => None,
            };
            nodes.push(Node { name: name.clone(), process, url, data, share });
        }
        let launch =
            configure(o, HUB, free_port(&o.binary)?, "peers: off", &format!("roles: [query]\n{asked}"))?;
        let hub_url = launch.url.clone();
        let hub = Process::start(launch, clock).await?;
        let (client, dir) = (Client::new()?, o.dir.clone());
        let fleet = Fleet { nodes, hub, hub_url, client, dir, keep: o.keep, limited: false };
        fleet.wait_heard(clock).await?;
        Ok(fleet)
    }

    pub(super) fn urls(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|n| n.url.clone())
    }

    pub(super) fn hub_url(&self) -> &str {
        &self.hub_url
    }

    /// Until the hub has heard of every cluster.
    async fn wait_heard(&self, clock: &Clock) -> Result<()> {
        let began = clock.monotonic();
        loop {
            let up = self.peer_metrics("orrery_peer_up").await?;
            if self.nodes.iter().all(|n| up.get(&n.name) == Some(&1)) {
                return Ok(());
            }
            if clock.monotonic().duration_since(began) > PATIENCE {
                return Err(self.hub.strange(format!("after {PATIENCE:?} it has heard of {up:?} only")));
            }
            clock.sleep(TICK).await;
        }
    }

    /// What the hub has moved since it was started.
    pub(super) async fn moved(&self) -> Result<Moved> {
        let received = self.peer_metrics("orrery_peer_received_bytes_total").await?;
        let sent = self.peer_metrics("orrery_peer_sent_bytes_total").await?;
        if received.len() < self.nodes.len() {
            return Err(self.hub.strange(format!("it counts bytes of {} clusters", received.len())));
        }
        Ok(Moved { received: received.values().sum(), sent: sent.values().sum() })
    }

    async fn peer_metrics(&self, name: &str) -> Result<BTreeMap<String, u64>> {
        let text = get(&self.client, &format!("{}/metrics", self.hub_url)).await?;
        Ok(by_peer(&String::from_utf8_lossy(&text), name))
    }

    /// CPU time of all clusters together, and of the hub.
    pub(super) fn cpu_seconds(&self) -> Result<(f64, f64)> {
        let clusters: f64 = self.nodes.iter().map(|n| n.process.cpu_seconds()).sum::<Result<f64>>()?;
        Ok((clusters, self.hub.cpu_seconds()?))
    }

    /// Largest resident set of the hub since it was last started.
    pub(super) fn hub_peak_bytes(&self) -> Result<u64> {
        self.hub.peak_rss_bytes()
    }

    /// Has everything written as it stays.
    pub(super) async fn settle(&mut self, o: &FleetOptions, clock: &Clock) -> Result<()> {
        for n in &self.nodes {
            n.process.post("/api/v1/admin/tsdb/snapshot").await?;
            let _ = fs::remove_dir_all(n.data.join("snapshots"));
        }
        self.restart(clock).await?;
        let began = clock.monotonic();
        let (mut last, mut since) = (self.stored_bytes(), clock.monotonic());
        loop {
            clock.sleep(TICK * 5).await;
            let (now, at) = (self.stored_bytes(), clock.monotonic());
            if now != last {
                (last, since) = (now, at);
            }
            if at.duration_since(since) >= o.quiet || at.duration_since(began) >= o.settle_for {
                return Ok(());
            }
        }
    }

    /// Published data of all clusters.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.nodes.iter().map(|n| bytes_in(&n.data.join("objects"))).sum()
    }

    /// From now on every cluster has its share of the cores and no more, where one was asked for.
    pub(super) fn limit(&mut self) -> Result<()> {
        self.limited = true;
        self.nodes.iter().try_for_each(Node::limit)
    }

    /// Starts everything again with nothing in memory: neither in the programs' nor, as far as the kernel lets go of it,
    /// in that of the files.
    pub(super) async fn cool(&mut self, clock: &Clock) -> Result<()> {
        self.restart(clock).await?;
        if self.limited {
            self.limit()?;
        }
        for file in self.nodes.iter().flat_map(|n| files_in(&n.data)) {
            let Ok(open) = fs::File::open(file) else { continue };
            let _ = rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed);
        }
        Ok(())
    }

    async fn restart(&mut self, clock: &Clock) -> Result<()> {
        self.hub.end(clock).await?;
        for n in &mut self.nodes {
            n.process.end(clock).await?;
        }
        for n in &mut self.nodes {
            n.process.again(clock).await?;
        }
        self.hub.again(clock).await?;
        self.wait_heard(clock).await
    }

    /// Ends everything, in order where it runs. What has ended already, as in the middle of a restart, is no error here:
    /// nothing is measured any more.
    pub(super) async fn end(mut self, clock: &Clock) {
        let _ = self.hub.end(clock).await;
        for n in &mut self.nodes {
            let _ = n.process.end(clock).await;
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Node {
    fn limit(&self) -> Result<()> {
        match (&self.share, self.process.id()) {
            (Some(share), Some(pid)) => share.give(pid),
            _ => Ok(()),
        }
    }
}

/// Takes the directory: one that does not exist, that is empty, or that an earlier run left.
fn prepare(o: &FleetOptions) -> Result<()> {
    let mark = o.dir.join(MARK);
    let fail = |doing| {
        let path = o.dir.clone();
        move |source| Error::Program { doing, path, source }
    };
    if Filled::left(o).is_some() {
        return Ok(());
    }
    if mark.exists() {
        fs::remove_dir_all(&o.dir).map_err(fail("emptying"))?;
    } else if fs::read_dir(&o.dir).is_ok_and(|mut entries| entries.next().is_some()) {
        let wanted = "a directory that does not exist, is empty, or was made by an earlier run";
        return Err(Error::Option { option: "dir", value: o.dir.display().to_string(), wanted });
    }
    fs::create_dir_all(&o.dir).map_err(fail("making"))?;
    fs::write(mark, "null").map_err(fail("writing the mark of"))
}

/// An authority and a certificate for each, by the command that users have.
async fn certificates(o: &FleetOptions, names: &[String]) -> Result<()> {
    let certs = certs(o).display().to_string();
    if certs_of(o, HUB).0.exists() {
        return Ok(());
    }
    run(&o.binary, &["certs", "init", &certs]).await?;
    for name in names.iter().map(String::as_str).chain([HUB]) {
        run(&o.binary, &["certs", "issue", &certs, name, "--dns", "localhost"]).await?;
    }
    Ok(())
}

fn certs(o: &FleetOptions) -> PathBuf {
    o.dir.join("certs")
}

fn certs_of(o: &FleetOptions, name: &str) -> (PathBuf, PathBuf) {
    (certs(o).join(format!("{name}.crt")), certs(o).join(format!("{name}.key")))
}

async fn run(binary: &Path, args: &[&str]) -> Result<()> {
    let out = Command::new(binary).args(args).stdin(Stdio::null()).output().await;
    let out = out.map_err(|source| Error::Program { doing: "starting", path: binary.to_owned(), source })?;
    if out.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    Err(Error::Ask { url: format!("{} {}", binary.display(), args.join(" ")), reason })
}

/// Writes a node's configuration; limits are such that no query of this bench meets one.
fn configure(o: &FleetOptions, name: &str, http: u16, listen: &str, more: &str) -> Result<Launch> {
    let dir = o.dir.join(name);
    let fail = |doing| {
        let path = dir.clone();
        move |source| Error::Program { doing, path, source }
    };
    fs::create_dir_all(&dir).map_err(fail("making"))?;
    let (cert, key) = certs_of(o, name);
    let ca = certs(o).join("ca.crt");
    let each = (o.series as u64).saturating_mul(o.scrapes() as u64);
    let all = each.saturating_mul(o.clusters as u64);
    let memory = MEMORY_BESIDE.saturating_add(each.saturating_mul(MEMORY_A_SAMPLE));
    let text = format!(
        "cluster: {name}\ndata_dir: data\n\
         listen: {{http: \"127.0.0.1:{http}\", otlp_grpc: off, otlp_http: off, {listen}}}\n\
         tls: {{cert: '{}', key: '{}', ca: '{}'}}\n\
         http: {{enable_admin: true}}\nretention: {{metrics: 0}}\nmemory: {{limit: {}MiB}}\n\
         query: {{timeout: 10m, max_samples: {}, max_bytes: 64GiB}}\n\
         collect: {{host: {{enabled: false}}, files: {{paths: []}}, pods: {{path: \"\"}}, traces: {{enabled: false}}, defaults: false}}\n\
         {more}",
        cert.display(),
        key.display(),
        ca.display(),
        memory >> 20,
        all.saturating_mul(2),
    );
    let file = dir.join("orrery.yaml");
    fs::write(&file, text).map_err(fail("writing the configuration in"))?;
    Ok(Launch {
        name: name.to_owned(),
        path: o.binary.clone(),
        args: vec!["run".to_owned(), "--config".to_owned(), file.display().to_string()],
        dir,
        url: format!("http://127.0.0.1:{http}"),
        ready_path: "/-/ready",
    })
}

/// Values of a metric by its label `peer`, from the text format.
fn by_peer(text: &str, name: &str) -> BTreeMap<String, u64> {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?.strip_prefix("{peer=\"")?;
        let (peer, value) = rest.split_once("\"} ")?;
        Some((peer.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_by_peer_and_by_no_other_name() {
        let text = "# TYPE orrery_peer_up gauge\norrery_peer_up{peer=\"cluster-1\"} 1\norrery_peer_up{peer=\"x/a\"} 0\n\
                    orrery_peer_upper{peer=\"y\"} 5\norrery_peer_up 7\n";
        let found = by_peer(text, "orrery_peer_up");
        assert_eq!(found, BTreeMap::from([("cluster-1".to_owned(), 1), ("x/a".to_owned(), 0)]));
    }

    #[test]
    fn a_directory_of_somebody_else_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let o = FleetOptions::smoke("orrery".into(), dir.path().to_owned());
        prepare(&o).unwrap();
        fs::write(dir.path().join("old"), "x").unwrap();
        prepare(&o).unwrap();
        assert!(!dir.path().join("old").exists(), "what an earlier run left is removed");
        fs::remove_file(dir.path().join(MARK)).unwrap();
        fs::write(dir.path().join("mine"), "x").unwrap();
        let told = prepare(&o).unwrap_err().to_string();
        assert!(told.contains("option dir is") && dir.path().join("mine").exists(), "{told}");
    }
}
