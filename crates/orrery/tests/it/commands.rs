//! The commands as they are used in a hurry: wrong arguments, interruptions, a node under load.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use model::{Labels, MetricBatch};
use net::Client;

use crate::{
    lifecycle::now_ns,
    moving::{blocks, orrery, stored, succeeds, text, write},
    node::{Home, eventually},
    peers::program,
};

#[test]
fn every_command_that_cannot_be_carried_out_says_what_is_wrong_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["empty", "log", "other", "absent", "file", "to", "back"];
    let paths = names.map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    let [empty, log, other, absent, file, to, back] = paths.each_ref().map(String::as_str);
    std::fs::create_dir_all(empty).unwrap();
    std::fs::create_dir_all(format!("{log}/wal")).unwrap();
    std::fs::create_dir_all(format!("{other}/blobs/aa")).unwrap();
    std::fs::write(file, "x").unwrap();
    let nowhere = "http://127.0.0.1:1";
    let import = ["import", "prometheus"];
    for (args, code, parts) in [
        ([&import[..], &[absent]].concat(), 1, ["absent", "No such file"]),
        ([&import[..], &[empty]].concat(), 1, ["holds no block", "name the data directory"]),
        ([&import[..], &[log]].concat(), 1, ["write-ahead log", "admin/tsdb/snapshot"]),
        ([&import[..], &[empty, "--batch", "0"]].concat(), 1, ["batch is 0", "1 to 1000000"]),
        ([&import[..], &[empty, "--to", "ftp://x"]].concat(), 1, ["ftp://x", "http or https"]),
        ([&import[..], &[empty, "--since", "noon"]].concat(), 2, ["noon", "RFC 3339"]),
        (vec!["certs", "issue", empty, "dev-01"], 1, ["ca.crt", "cannot be read"]),
        (vec!["certs", "check", file], 1, ["file", "neither a certificate nor a private key"]),
        (vec!["certs", "check", "--address", "127.0.0.1:1"], 1, ["127.0.0.1:1", "refused"]),
        (vec!["certs", "deny", empty, "xyz"], 1, ["xyz", "cannot be read"]),
        (vec!["backup"], 1, ["say where", "orrery backup DIRECTORY"]),
        (vec!["backup", "--data-dir", absent, to], 1, ["wal/identity", "--data-dir"]),
        (vec!["backup", "list", absent], 1, ["cannot be read", "name the directory"]),
        (vec!["backup", "verify", file], 1, ["is not a directory", "name the directory"]),
        (vec!["backup", "verify", empty], 1, ["empty", "keeps no backup"]),
        (vec!["backup", "prune", other, "--keep", "1"], 1, ["no backup is kept", "name the directory"]),
        (vec!["restore", empty, "--data-dir", back], 1, ["no backup is kept", "name the directory"]),
        (vec!["compare", nowhere, nowhere], 2, ["nothing to compare", "--query"]),
        (vec!["compare", nowhere, nowhere, "--query", "up"], 2, [nowhere, "right address"]),
        (vec!["compare", nowhere, nowhere, absent], 2, ["reading", "absent"]),
        (vec!["compare", nowhere, nowhere, file], 2, ["neither a dashboard", "rule file"]),
        (vec!["compare", nowhere, nowhere, "--query", "up", "--range", "5x"], 2, ["5x", "1h30m"]),
    ] {
        let out = orrery(&args);
        let said = text(&out);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {said}");
        assert!(parts.iter().all(|p| said.contains(p)), "{args:?}: {said}");
    }
    // Nothing was made where nothing could be done.
    assert!(Path::new(other).join("blobs/aa").is_dir() && std::fs::read_dir(other).unwrap().count() == 1);
    assert!(![absent, to, back].iter().any(|p| Path::new(p).exists()));
    assert_eq!(std::fs::read_dir(empty).unwrap().count(), 0);
}

#[tokio::test]
async fn an_import_that_is_killed_and_interrupted_goes_on_and_doubles_nothing() {
    let Some(promtool) = program("promtool") else { return };
    let home = Home::new("retention: {metrics: 0}\n");
    let (blocks, sent) = blocks(&promtool, home.dir.path());
    let node = home.start();
    let args = ["import", "prometheus", blocks.to_str().unwrap(), "--to", &node.http, "--batch", "20"];
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orrery"));
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let at_ms = sent.keys().map(|(_, t)| *t).max().unwrap();
    let arrived = async || stored(&node, "m[4h]", at_ms).await.len();
    let mut before = 0;
    for signal in ["-KILL", "-INT"] {
        let mut child = start();
        eventually("more samples", Duration::from_secs(60), async || {
            let done = child.try_wait().unwrap().is_some();
            (done || arrived().await > before).then_some(())
        })
        .await;
        // A fast machine may be done already, and then there is nobody to send it to.
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).output();
        let out = child.wait_with_output().unwrap();
        // Without a code it was gone before it listened to signals.
        if signal == "-INT" && out.status.code().is_some_and(|code| code != 0) {
            assert!(
                text(&out).contains("interrupted") && text(&out).contains("run it again"),
                "{}",
                text(&out)
            );
        }
        before = arrived().await;
    }
    succeeds(&args);
    assert_eq!(stored(&node, "m[4h]", at_ms).await, sent);
    assert!(succeeds(&args).contains("had arrived before"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_a_node_that_takes_writes_hold_what_was_acknowledged_when_they_began() {
    let home = Home::new("");
    let node = home.start();
    let (http, from_ms) = (node.http.clone(), now_ns() / 1_000_000 - 3_000_000);
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, counted) = (stop.clone(), acknowledged.clone());
    let sending = tokio::spawn(async move {
        let client = Client::new().unwrap();
        for i in 0u64.. {
            if stopped.load(SeqCst) {
                return i;
            }
            let mut batch = MetricBatch::default();
            let series = batch.push_series(Labels::from_pairs([("__name__", "m"), ("s", "a")]));
            batch.samples.push(series, from_ms + i as i64, i as f64);
            assert_eq!(write(&client, &http, &batch).await, 204);
            counted.store(i + 1, SeqCst);
        }
        0
    });
    let (kept, data) = (home.dir.path().join("kept"), home.data());
    let (kept, data) = (kept.to_str().unwrap(), data.to_str().unwrap());
    let mut promised = 0;
    for _ in 0..3 {
        eventually("some writes", Duration::from_secs(30), async || {
            (acknowledged.load(SeqCst) > promised + 20).then_some(())
        })
        .await;
        promised = acknowledged.load(SeqCst);
        let args = ["backup", "--data-dir", data, kept];
        let out = tokio::task::spawn_blocking({
            let args = args.map(str::to_owned);
            move || orrery(&args.each_ref().map(String::as_str))
        });
        let out = out.await.unwrap();
        assert!(out.status.success(), "{}", text(&out));
    }
    stop.store(true, SeqCst);
    let sent = sending.await.unwrap();
    assert_eq!(succeeds(&["backup", "list", kept]).lines().count(), 3);
    assert!(succeeds(&["backup", "verify", kept]).contains("3 backup(s)"));
    assert_eq!(succeeds(&["backup", "prune", kept, "--keep", "1"]).matches("is gone").count(), 2);
    assert!(succeeds(&["backup", "verify", kept]).contains("1 backup(s)"));
    let back = Home::new("");
    let to = back.data();
    succeeds(&["restore", kept, "--data-dir", to.to_str().unwrap()]);
    let restored = back.start();
    let found = stored(&restored, "m[2h]", from_ms + sent as i64).await;
    let count = found.len() as u64;
    assert!((promised..=sent).contains(&count), "{count} of {sent}, {promised} when the backup began");
    for (i, ((_, t), bits)) in found.iter().enumerate() {
        assert_eq!((*t, f64::from_bits(*bits)), (from_ms + i as i64, i as f64));
    }
    // A store is never written over.
    let out = orrery(&["restore", kept, "--data-dir", to.to_str().unwrap()]);
    assert!(!out.status.success() && text(&out).contains("holds a store already"), "{}", text(&out));
}
