use std::path::Path;

use base::{Clock, Metrics};
use net::dns::Record;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::context::tests::context;

#[test]
fn groups_are_read_from_json_and_yaml_alike() {
    let json = r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}, {"targets": ["c:3"]}]"#;
    let yaml = "- targets: ['a:1', 'b:2']\n  labels: {env: x}\n- targets: ['c:3']\n";
    let groups = parse_json(json).unwrap();
    assert_eq!(groups, parse_yaml(yaml).unwrap());
    assert_eq!(groups[0].targets[1].to_string(), "{__address__=\"b:2\"}");
    assert_eq!(groups[0].labels.to_string(), "{env=\"x\"}");
    assert!(parse_yaml("# nothing\n").unwrap().is_empty());
    for bad in ["[null]", r#"[{"target": []}]"#, r#"{"targets": []}"#, r#"[{"labels": {"": "x"}}]"#, "[{"] {
        assert!(parse_json(bad).is_err(), "{bad}");
        assert!(parse_yaml(bad).is_err(), "{bad}");
    }
}

#[test]
fn dns_records_become_targets_in_an_order_that_does_not_change() {
    let srv = |target: &str, port| Record::Srv { target: target.into(), port };
    let a = dns::group("x", &[srv("b.local.", 2), srv("a.local.", 1)], 0);
    assert_eq!(a, dns::group("x", &[srv("a.local.", 1), srv("b.local.", 2)], 0));
    assert_eq!(a.targets[0].value("__address__"), "a.local:1");
    assert_eq!(a.targets[0].value("__meta_dns_srv_record_target"), "a.local.");
    assert_eq!(a.targets[0].value("__meta_dns_name"), "x");
    let ip = dns::group("x", &[Record::Aaaa("::1".parse().unwrap())], 9100);
    assert_eq!(ip.targets[0].value("__address__"), "[::1]:9100");
}

/// Starts a discovery for a test.
fn start(config: Discovery, clock: &Clock) -> (Context, Running, Arc<Notify>) {
    let (c, _) = context(clock.clone());
    let changed = Arc::new(Notify::new());
    let running = Running::start(&c, &Counts::new(&Metrics::default()), "job", &config, changed.clone());
    (c, running, changed)
}

async fn addresses(running: &Running, clock: &Clock, wanted: &[&str]) {
    loop {
        let found: Vec<String> = running
            .found
            .get()
            .iter()
            .flat_map(|g| g.targets.iter().map(|t| t.value(ADDRESS).to_owned()))
            .collect();
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        clock.advance(Duration::from_millis(50));
    }
}

fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn files_are_followed_and_a_broken_one_keeps_its_targets() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.json"), dir.path().join("b.yml"));
    replace(&a, r#"[{"targets": ["a:1"]}]"#);
    // An interval that never comes: what is seen is seen by watching.
    let refresh = Duration::from_secs(1 << 30);
    let files = vec![dir.path().join("*.json"), dir.path().join("b.yml")];
    let clock = Clock::manual(0);
    let (c, running, changed) = start(Discovery::File(FileDiscovery { files, refresh }), &clock);
    addresses(&running, &clock, &["a:1"]).await;
    changed.notified().await;
    replace(&b, "- targets: ['b:1', 'b:2']\n");
    addresses(&running, &clock, &["a:1", "b:1", "b:2"]).await;
    replace(&b, "- targets: [");
    replace(&a, r#"[{"targets": ["a:2"]}]"#);
    addresses(&running, &clock, &["a:2", "b:1", "b:2"]).await;
    assert!(running.found.get()[0].labels.value("__meta_filepath").ends_with("a.json"));
    std::fs::remove_file(&a).unwrap();
    addresses(&running, &clock, &["b:1", "b:2"]).await;
    running.stop();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_url_is_asked_again_and_what_it_gave_stays_while_it_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sd", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let ok = |body: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let answers = [
            ok(r#"[{"targets": ["a:1"], "labels": {"x": "y"}}]"#),
            "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
            ok("[{\"targets\""),
            ok(r#"[{"targets": ["b:1"]}]"#),
        ];
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buf = vec![0; 4096];
            let n = stream.read(&mut buf).await.unwrap();
            seen.push(String::from_utf8_lossy(&buf[..n]).to_lowercase());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        seen
    });
    let clock = Clock::manual(0);
    let refresh = Duration::from_secs(30);
    let config = HttpDiscovery { url: url.clone(), refresh, http: net::Settings::default() };
    let (c, running, _) = start(Discovery::Http(Box::new(config)), &clock);
    addresses(&running, &clock, &["a:1"]).await;
    assert_eq!(running.found.get()[0].labels.value("__meta_url"), url);
    addresses(&running, &clock, &["b:1"]).await;
    let seen = server.await.unwrap();
    assert!(seen[0].contains("x-prometheus-refresh-interval-seconds: 30"), "{}", seen[0]);
    running.stop();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,120}") {
        let _ = parse_json(&text);
        let _ = parse_yaml(&text);
    }
}
