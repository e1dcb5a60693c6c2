//! `orrery check forward` on the series of a running node.

use std::{path::Path, process::Command, time::Duration};

use serde_json::Value;

use super::{senders, sending};
use crate::{
    crash::{Protocol, Sender},
    lifecycle::now_ns,
    node::{Home, eventually},
};

/// What the command ends with and prints.
fn check(file: &Path, to: &str, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orrery"));
    let out = command.args(["check", "forward"]).arg(file).args(["--to", to]).args(more).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    (out.status.code().unwrap(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_tried_on_the_series_of_a_node() {
    let node = Home::new("cluster: dev-01\n");
    let node = node.start();
    let mut all = senders(3, "r");
    all.retain(|s| s.protocol == Protocol::RemoteWrite);
    sending(&mut all, &node.http.clone(), tokio::time::sleep(Duration::from_millis(300))).await;
    // What lies in the future is not looked at.
    let latest = all.iter().map(Sender::latest_ns).max().unwrap();
    eventually("samples lie in the past", Duration::from_secs(60), async || {
        (latest < now_ns()).then_some(())
    })
    .await;

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("prometheus.yml");
    let rules = |rules: &str| {
        let text = format!(
            "remote_write:\n- url: http://far/api/v1/write\n  name: far\n  write_relabel_configs:\n{rules}"
        );
        std::fs::write(&file, text).unwrap();
    };
    rules(
        "  - {source_labels: [sender], regex: 'rm0|rm1', action: keep}\n  - {source_labels: [sender], regex: rm1, action: drop}\n",
    );
    let counted = ["--match", "counted", "--range", "1h"];
    let (code, text) = check(&file, &node.http, &counted);
    assert_eq!(code, 0, "{text}");
    for wanted in [
        "far: 1 of 3 series are sent (33.3 %)",
        r#"rule 0 {action: keep, source_labels: [sender], regex: "rm0|rm1"}"#,
        "drops 1 of 3 series",
        r#"drops counted{cluster="dev-01", sender="rm2"}"#,
        "drops 1 of 2 series",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }

    rules(
        "  - {source_labels: [sender], regex: rm0, action: keep}\n  - {source_labels: [sender], regex: rm1, action: keep}\n",
    );
    let (code, text) = check(&file, &node.http, &[&counted[..], &["--json"]].concat());
    assert_eq!(code, 3, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let far = &report["destinations"][0];
    assert_eq!((&far["series"], &far["kept"]), (&3.into(), &0.into()), "{report}");
    let samples: usize = all.iter().map(|s| s.acknowledged.len()).sum();
    assert!(far["bytes"].as_u64().unwrap() > samples as u64 * 40, "{report}");
    assert!(far["warnings"][0].as_str().unwrap().contains("exclude each other"), "{report}");
    assert!(report["warnings"][0].as_str().unwrap().contains("keep-rules-exclude"), "{report}");

    std::fs::write(&file, "cluster: a/b\n").unwrap();
    let (code, text) = check(&file, &node.http, &[]);
    assert!(code == 1 && text.contains("cluster:"), "{text}");
    std::fs::write(&file, "cluster: a\n").unwrap();
    let (code, text) = check(&file, &node.http, &[]);
    assert!(code == 1 && text.contains("neither forward nor remote_write"), "{text}");
}
