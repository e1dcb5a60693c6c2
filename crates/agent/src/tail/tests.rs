use std::{io::Write, time::Duration};

use base::Clock;
use model::Batch;

use super::*;
use crate::context::tests::context;

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

#[tokio::test]
async fn pod_logs_are_followed_and_refusals_hold_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let container = dir.path().join("pods/default_web-1_u-i-d/nginx");
    std::fs::create_dir_all(&container).unwrap();
    let path = container.join("0.log");
    std::fs::write(&path, "2023-11-14T22:13:20Z stdout F one\n").unwrap();
    let (c, recorder) = context(Clock::system());
    recorder.errors.lock().push_back(contract::Error::unavailable("not yet"));
    let source = Source::Pods { root: dir.path().join("pods"), exclude: vec![] };
    let options = Options { from_beginning: true, ..Options::new("pods", source, dir.path().join("state")) };
    start(&c, options.clone());
    until("the first line", || recorder.lines() == ["one"]).await;

    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"2023-11-14T22:13:21Z stderr P tw\n2023-11-14T22:13:22Z stderr F o\n").unwrap();
    until("the second line", || recorder.lines() == ["one", "two"]).await;
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();

    file.write_all(b"2023-11-14T22:13:23Z stdout F three\n").unwrap();
    let (c, after) = context(Clock::system());
    start(&c, options);
    until("the third line", || after.lines() == ["three"]).await;
    c.shutdown.start();
    c.shutdown.finished(Duration::from_secs(5)).await.unwrap();

    let units = recorder.units.lock();
    let Batch::Logs(b) = &units[1].batches[0] else { panic!("logs") };
    assert_eq!(b.streams[0].labels.value("k8s_pod_name"), "web-1");
    assert_eq!(b.records[0].attributes.get_str("log.iostream"), Some("stderr"));
}
