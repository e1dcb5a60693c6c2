//! `orrery demo`: everything starts, the global node sees both clusters, and what is missing is named.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use net::{Client, Request};
use serde_json::Value;
use tempfile::TempDir;

use crate::node::{encode, eventually};

/// The last line of the page.
const END: &str = "Each node's orrery.yaml";

struct Demo {
    child: Child,
    page: String,
    hub: String,
    client: Client,
    dir: TempDir,
}

/// The first of 50 free ports, below those that the system hands out by itself.
fn free_base() -> u16 {
    let start = 20_000 + (std::process::id() % 200) as u16 * 50;
    let free = |base: &u16| (*base..base + 50).all(|p| TcpListener::bind(("127.0.0.1", p)).is_ok());
    (0..40).map(|n| start + n * 50).find(free).expect("no 50 free ports in a row")
}

impl Demo {
    /// Starts a demo and reads its page.
    fn start() -> Demo {
        let (dir, base) = (tempfile::tempdir().unwrap(), free_base());
        let log = std::fs::File::create(dir.path().join("progress.log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_orrery"))
            .args(["demo", "--load", "20", "--ports", &base.to_string(), "--dir"])
            .arg(dir.path().join("demo"))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut page = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            page.push_str(&line);
            page.push('\n');
            if line.contains(END) {
                break;
            }
        }
        let demo = Demo {
            child,
            page,
            hub: format!("http://127.0.0.1:{base}"),
            client: Client::new().unwrap(),
            dir,
        };
        assert!(demo.page.contains(END), "no page: {}\n{}", demo.page, demo.progress());
        demo
    }

    fn progress(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("progress.log")).unwrap_or_default()
    }

    /// What a node told of itself.
    fn log(&self, node: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("demo").join(format!("{node}.log"))).unwrap_or_default()
    }

    /// The process of a node, as the page says.
    fn pid(&self, node: &str) -> String {
        let line = self.page.lines().find(|l| l.split_whitespace().next() == Some(node)).unwrap();
        let mut words = line.split_whitespace().skip_while(|w| *w != "process");
        words.nth(1).unwrap().to_owned()
    }

    fn signal(&self, signal: &str, node: &str) {
        assert!(Command::new("kill").args([signal, &self.pid(node)]).status().unwrap().success());
    }

    async fn json(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.hub);
        let request = Request { timeout: Duration::from_secs(30), ..Request::get(url) };
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            Err(e) => panic!("{path}: {e}\n{}", self.log("ops-01")),
        };
        serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.excerpt()))
    }

    /// Waits until the global node has paired a call, and with which cluster where that is another one.
    async fn wait_for_call(&self, client: &str, cluster: &str, (server, other): (&str, Option<&str>)) {
        let path = "/api/v1/orrery/service_graph?start=1700000000&end=4000000000";
        eventually(&format!("{client} calls {server}"), Duration::from_secs(60), async || {
            let answer = self.json(path).await;
            let edges = answer["data"]["edges"].as_array()?.clone();
            let labels: Vec<&Value> = edges.iter().map(|e| &e["labels"]).collect();
            let edge = labels.iter().find(|l| l["client"] == client && l["server"] == server)?;
            assert_eq!((edge["cluster"].as_str(), edge["server_cluster"].as_str()), (Some(cluster), other));
            Some(())
        })
        .await;
    }

    /// Waits until the coverage of an answer says of a cluster what is `wanted`, of all its replicas together.
    async fn wait_for(&self, path: &str, cluster: &str, wanted: &[&str]) {
        let began = Instant::now();
        loop {
            let answer = self.json(path).await;
            let sources = answer["coverage"].as_array().cloned().unwrap_or_default();
            let of_cluster = sources.iter().filter(|s| s["cluster"] == cluster);
            let states: Vec<&str> = of_cluster.filter_map(|s| s["state"].as_str()).collect();
            let worst = states.iter().find(|s| **s != "complete").or(states.first());
            if worst.is_some_and(|s| wanted.contains(s)) {
                return;
            }
            let waited = began.elapsed();
            assert!(
                waited < Duration::from_secs(60),
                "{cluster} is not {wanted:?} in {path} after {waited:?}: {}\n{}",
                answer["coverage"],
                self.log("ops-01")
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Its children end with it only when it may stop them.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
    }
}

/// Clusters that a Jaeger answer has spans of.
fn clusters_of(trace: &Value) -> BTreeSet<String> {
    let processes = trace["data"][0]["processes"].as_object().cloned().unwrap_or_default();
    let tags = processes.values().flat_map(|p| p["tags"].as_array().cloned().unwrap_or_default());
    tags.filter(|t| t["key"] == "k8s.cluster.name")
        .filter_map(|t| t["value"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn the_demo_shows_two_clusters_as_one_and_names_a_replica_that_stands_still() {
    let mut demo = Demo::start();

    let up = demo.json(&format!("/api/v1/query?query={}", encode("count by (cluster) (up)"))).await;
    let counted: BTreeSet<(String, String)> = up["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["metric"]["cluster"].to_string(), r["value"][1].to_string()))
        .collect();
    let expected = [("\"dev-01\"", "\"1\""), ("\"prod-01\"", "\"2\"")];
    assert_eq!(counted, expected.map(|(c, n)| (c.to_owned(), n.to_owned())).into(), "{up}");

    let (_, id) = demo.page.split_once("/ui/trace/").expect("the page names a trace");
    let id: String = id.chars().take_while(char::is_ascii_hexdigit).collect();
    let trace = demo.json(&format!("/jaeger/api/traces/{id}")).await;
    assert_eq!(clusters_of(&trace), BTreeSet::from(["dev-01".to_owned(), "prod-01".to_owned()]));

    // Nodes keep different spans of these, so that none of them has both halves of the call.
    demo.wait_for_call("frontend", "dev-01", ("checkout", Some("prod-01"))).await;
    demo.wait_for_call("checkout", "prod-01", ("payment", None)).await;

    let metrics = "/api/v1/query?query=up";
    let logs = format!("/loki/api/v1/query_range?query={}", encode("{service_namespace=\"shop\"}"));
    demo.wait_for(metrics, "prod-01", &["complete"]).await;
    demo.wait_for(&logs, "prod-01", &["complete"]).await;

    demo.signal("-STOP", "prod-01/b");
    demo.wait_for(&logs, "prod-01", &["partial", "missing"]).await;
    demo.wait_for(metrics, "prod-01", &["complete"]).await;
    demo.signal("-STOP", "prod-01/a");
    demo.wait_for(metrics, "prod-01", &["missing"]).await;
    demo.wait_for(metrics, "dev-01", &["complete"]).await;
    demo.signal("-CONT", "prod-01/a");
    demo.signal("-CONT", "prod-01/b");
    demo.wait_for(&logs, "prod-01", &["complete"]).await;

    let nodes = ["ops-01", "dev-01", "prod-01/a", "prod-01/b"].map(|n| demo.pid(n));
    let interrupt = Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert_eq!(demo.child.wait().unwrap().code(), Some(0), "{}", demo.progress());
    for pid in nodes {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} still runs");
    }
}

#[test]
fn a_demo_does_not_start_where_others_keep_their_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "x").unwrap();
    let out =
        Command::new(env!("CARGO_BIN_EXE_orrery")).args(["demo", "--dir"]).arg(dir.path()).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(told.contains("not a demo's") && told.contains("--dir"), "{told}");
}
