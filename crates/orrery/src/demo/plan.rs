//! Who takes part: nodes and services with their ports and files, and each node's configuration as text.

use std::{
    fmt::Write,
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};

use super::child::Program;

/// A node's ports are a block of ten: +0 HTTP, +1 OTLP over gRPC, +2 OTLP over HTTP, +5 peers. The shop has the last.
const BLOCK: u16 = 10;
const SHOP: u16 = 40;
/// One past the last port of all.
const PORTS: u16 = 50;

pub struct Plan {
    /// Absolute.
    pub dir: PathBuf,
    base: u16,
    load: f64,
}

/// One node.
pub struct Node {
    /// As on the page: `prod-01/b`.
    pub shown: &'static str,
    /// As in file names: `prod-01-b`.
    pub file: &'static str,
    pub cluster: &'static str,
    pub replica: Option<&'static str>,
    pub about: &'static str,
    block: u16,
}

pub const OPS: Node = Node {
    shown: "ops-01",
    file: "ops-01",
    cluster: "ops-01",
    replica: None,
    about: "asks the others, keeps nothing",
    block: 0,
};
const DEV: Node = Node {
    shown: "dev-01",
    file: "dev-01",
    cluster: "dev-01",
    replica: None,
    about: "the shop's frontend and catalog",
    block: 1,
};
const PROD_A: Node = Node {
    shown: "prod-01/a",
    file: "prod-01-a",
    cluster: "prod-01",
    replica: Some("a"),
    about: "checkout and stock; metrics of all of prod-01",
    block: 2,
};
const PROD_B: Node = Node {
    shown: "prod-01/b",
    file: "prod-01-b",
    cluster: "prod-01",
    replica: Some("b"),
    about: "payment; metrics of all of prod-01",
    block: 3,
};
pub const NODES: [Node; 4] = [OPS, DEV, PROD_A, PROD_B];

/// A service of the shop: where it runs, who takes its spans and lines, what it calls.
struct Service {
    name: &'static str,
    port: u16,
    /// The first takes spans and lines, all take metrics.
    nodes: &'static [Node],
    calls: &'static [(u16, &'static str)],
}

const SERVICES: [Service; 5] = [
    Service { name: "payment", port: 3, nodes: &[PROD_B, PROD_A], calls: &[] },
    Service { name: "stock", port: 4, nodes: &[PROD_A, PROD_B], calls: &[] },
    Service {
        name: "checkout",
        port: 2,
        nodes: &[PROD_A, PROD_B],
        calls: &[(4, "/reservations"), (3, "/payments")],
    },
    Service { name: "catalog", port: 1, nodes: &[DEV], calls: &[] },
    Service { name: "frontend", port: 0, nodes: &[DEV], calls: &[(1, "/products"), (2, "/checkout")] },
];

impl Plan {
    pub fn new(dir: &Path, base: u16, load: f64) -> Result<Self> {
        if !(1024..=u16::MAX - PORTS).contains(&base) {
            bail!("--ports is {base}, it must be from 1024 to {}", u16::MAX - PORTS);
        }
        let dir = std::path::absolute(dir).with_context(|| format!("finding {}", dir.display()))?;
        Ok(Plan { dir, base, load })
    }

    fn port(&self, node: &Node, at: u16) -> u16 {
        self.base + node.block * BLOCK + at
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self, node: &Node) -> String {
        format!("http://127.0.0.1:{}", self.port(node, 0))
    }

    pub fn certs(&self) -> PathBuf {
        self.dir.join("certs")
    }

    /// Where a node's configuration and data are.
    pub fn home(&self, node: &Node) -> PathBuf {
        self.dir.join(node.file)
    }

    pub fn config(&self, node: &Node) -> PathBuf {
        self.home(node).join("orrery.yaml")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    pub fn nodes(&self) -> Vec<Program> {
        let program = |n: &Node| Program {
            name: n.shown.to_owned(),
            args: vec!["run".into(), "--config".into(), self.config(n).into()],
            log: self.log(n.file),
            ready: format!("{}/-/ready", self.url(n)),
        };
        NODES.iter().map(program).collect()
    }

    /// Those that are called before those that call.
    pub fn services(&self) -> Vec<Program> {
        SERVICES.iter().map(|s| self.service(s)).collect()
    }

    fn service(&self, s: &Service) -> Program {
        let at = |port: u16| format!("127.0.0.1:{}", self.base + SHOP + port);
        let calls: Vec<String> =
            s.calls.iter().map(|(port, path)| format!("http://{}{path}", at(*port))).collect();
        let otlp: Vec<String> =
            s.nodes.iter().map(|n| format!("http://127.0.0.1:{}", self.port(n, 2))).collect();
        let cluster = s.nodes.first().map_or("local", |n| n.cluster);
        let mut args = vec!["bench".to_owned(), "shop".to_owned()];
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        option("--service", s.name.to_owned());
        option("--listen", at(s.port));
        option("--cluster", cluster.to_owned());
        option("--otlp", otlp.join(","));
        if !calls.is_empty() {
            option("--calls", calls.join(","));
        }
        if s.name == "frontend" {
            option("--load", self.load.to_string());
        }
        Program {
            name: s.name.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            log: self.log(&format!("shop-{}", s.name)),
            ready: format!("http://{}/healthz", at(s.port)),
        }
    }

    /// Checks that nobody listens on any port of the plan.
    pub fn free_ports(&self) -> Result<()> {
        let nodes = NODES.iter().flat_map(|n| [0, 1, 2, 5].map(|at| (n.shown, self.port(n, at))));
        let services = SERVICES.iter().map(|s| (s.name, self.base + SHOP + s.port));
        for (name, port) in nodes.chain(services) {
            TcpListener::bind(("127.0.0.1", port))
                .map_err(|e| anyhow!("port {port}, which {name} needs, cannot be taken: {e}"))?;
        }
        Ok(())
    }

    /// A node's configuration, written to be read.
    pub fn yaml(&self, n: &Node) -> String {
        let mut y = format!(
            "# {}, as `orrery demo` writes it at each start; copy it before you change it.\n\
             # docs/configuration.md explains every key.\n\n\
             # Stamped on everything that comes in and names no cluster, and what other nodes know this one by.\n\
             cluster: {}\n",
            n.shown, n.cluster
        );
        if let Some(r) = n.replica {
            // Writing to a string does not fail.
            let _ = write!(
                y,
                "# Two nodes hold this cluster. The label tells them apart; answers have nothing twice.\n\
                 external_labels: {{replica: {r}}}\n"
            );
        }
        if n.shown == OPS.shown {
            y.push_str("# A node that keeps nothing: it answers by asking its peers.\nroles: [query]\n");
        }
        let [http, grpc, otlp, peers] = [0, 1, 2, 5].map(|at| self.port(n, at));
        let _ = write!(
            y,
            "data_dir: data\n\n\
             listen:\n  \
               http: 127.0.0.1:{http}        # the UI, every API, every protocol\n  \
               otlp_grpc: 127.0.0.1:{grpc}\n  \
               otlp_http: 127.0.0.1:{otlp}   # where the shop sends\n  \
               peers: 127.0.0.1:{peers}       # where other nodes ask: mutual TLS, nothing else\n\n\
             # What this node shows to others, and by whom theirs must be signed. The certificate names the\n\
             # cluster (orrery://cluster/{c}); `orrery certs check` explains it.\n\
             tls:\n  cert: ../certs/{c}.crt\n  key: ../certs/{c}.key\n  ca: ../certs/ca.crt\n\n",
            c = n.cluster
        );
        match n.shown == OPS.shown {
            true => self.asks(&mut y),
            false => self.collects(n, &mut y),
        }
        y
    }

    /// The part of the global node.
    fn asks(&self, y: &mut String) {
        y.push_str(
            "# Whom to ask, and how long to wait. Replicas of a cluster share its name; of each signal they say\n\
             # whether every one has everything (mirrored: complete while one answers) or a share (sharded: an\n\
             # answer without one of them is partial).\n\
             peers:\n",
        );
        for n in NODES.iter().filter(|n| n.shown != OPS.shown) {
            let _ =
                write!(y, "- name: {}\n  address: 127.0.0.1:{}\n  timeout: 3s\n", n.cluster, self.port(n, 5));
            if let Some(r) = n.replica {
                let _ = write!(
                    y,
                    "  replica: {r}\n  replication: {{metrics: mirrored, logs: sharded, traces: sharded}}\n"
                );
            }
        }
        y.push_str(
            "\n# There is nowhere to keep what it could collect.\n\
             collect:\n  host: {enabled: false}\n  files: {paths: []}\n  pods: {path: ''}\n  \
             traces: {enabled: false}\n  defaults: false\n",
        );
    }

    /// The part of a node with a store.
    fn collects(&self, n: &Node, y: &mut String) {
        y.push_str(
            "# Four nodes share this machine.\n\
             memory: {limit: 15%}\n\
             retention: {max_bytes: 2GiB}\n\n\
             collect:\n  \
               host: {interval: 5s}     # this machine's CPU, memory, disks and network\n  \
               files: {paths: []}       # the machine's logs are left alone\n  \
               pods: {path: ''}\n  \
               defaults: false          # what is scraped is said below\n\n",
        );
        if n.replica.is_some() {
            y.push_str(
                "# Both replicas scrape the same targets: that is what makes their metrics mirrored. `up` of one\n\
                 # that stands still is 0 at the other.\n",
            );
        }
        y.push_str("prometheus:\n  scrape_configs:\n  - job_name: orrery\n    scrape_interval: 5s\n    static_configs:\n    - targets:\n");
        for other in NODES.iter().filter(|o| o.cluster == n.cluster) {
            let _ = writeln!(y, "      - 127.0.0.1:{}", self.port(other, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::new(Path::new("/tmp/x"), 9500, 5.0).unwrap()
    }

    #[test]
    fn every_configuration_is_one_that_a_node_takes() {
        for n in &NODES {
            let text = plan().yaml(n);
            let config = config::parse(&text, Path::new("/tmp/x/n/orrery.yaml"))
                .unwrap_or_else(|e| panic!("{}: {e}\n{text}", n.shown));
            assert_eq!(config.cluster.as_ref().map(|c| c.as_str()), Some(n.cluster));
            assert_eq!(config.replica.as_ref().map(|r| r.as_str()), n.replica);
            assert!(config.notices.is_empty(), "{:?}", config.notices);
        }
    }

    #[test]
    fn no_two_take_the_same_port_and_all_lie_in_the_range() {
        let p = plan();
        let mut ports: Vec<u16> = NODES.iter().flat_map(|n| [0, 1, 2, 5].map(|at| p.port(n, at))).collect();
        ports.extend(SERVICES.iter().map(|s| p.base + SHOP + s.port));
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), all);
        assert!(ports.iter().all(|port| (9500..9500 + PORTS).contains(port)));
        assert!(Plan::new(Path::new("x"), 80, 1.0).is_err());
        assert!(Plan::new(Path::new("x"), 65_500, 1.0).is_err());
    }

    #[test]
    fn a_port_in_use_is_named_with_who_needs_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let Ok(plan) = Plan::new(Path::new("x"), port, 1.0) else { return };
        let told = plan.free_ports().unwrap_err().to_string();
        assert!(told.contains(&format!("port {port}, which ops-01 needs")), "{told}");
    }

    #[test]
    fn spans_of_production_are_shared_by_its_replicas_and_metrics_are_not() {
        let services = plan().services();
        let otlp = |name: &str| {
            let p = services.iter().find(|p| p.name == name).unwrap();
            let at = p.args.iter().position(|a| a == "--otlp").unwrap();
            p.args[at + 1].to_str().unwrap().to_owned()
        };
        assert_eq!(otlp("checkout"), "http://127.0.0.1:9522,http://127.0.0.1:9532");
        assert_eq!(otlp("payment"), "http://127.0.0.1:9532,http://127.0.0.1:9522");
        assert_eq!(otlp("frontend"), "http://127.0.0.1:9512");
    }
}
