//! The whole way, on a real disk and over real connections.

use std::{sync::Arc, time::Duration};

use base::{Clock, Metrics};
use contract::{Append, AppendUnit, fake::Fake};
use disklog::RealDisk;
use forward::{
    Destination, Forwarder, Forwarding, Limits, QueueOptions, Selection, Target,
    destination::{
        elastic::{Elastic, ElasticOptions},
        http::HttpOptions,
        loki::Loki,
        remote_write::{RemoteWrite, WriteVersion},
    },
};
use model::TenantId;

use crate::server::{Say, Server, clock, logs, metrics, status};

fn target(name: &str, destination: impl Destination + 'static) -> Target {
    let limits = Limits {
        min_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(5),
        ..Limits::default()
    };
    Target {
        name: name.to_owned(),
        selection: Selection::default(),
        limits,
        destination: Arc::new(destination),
    }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(patience.await.is_ok(), "waited in vain: {what}");
}

#[tokio::test]
async fn each_destination_gets_the_signals_it_carries_and_a_second_address_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    let prometheus = Server::start([status(503), status(204)]).await;
    let loki = Server::start([status(204)]).await;
    let elastic = Server::start([Say::Is(200, &[], br#"{"errors":false}"#.to_vec())]).await;
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let two = HttpOptions::new([closed, loki.url.clone()]);
    let targets = vec![
        target("prometheus", RemoteWrite::new("p", prometheus.options(), WriteVersion::V1, clock()).unwrap()),
        target("loki", Loki::new("l", two, clock()).unwrap()),
        target("es", Elastic::new("e", elastic.options(), ElasticOptions::default(), clock()).unwrap()),
    ];
    let registry = Metrics::default();
    let options = QueueOptions::new(dir.path().join("forward"));
    let f = Forwarder::open(options, targets, Arc::new(RealDisk), &registry, Clock::system()).await.unwrap();
    let node = Forwarding { append: Arc::new(Fake::new()), forwarder: f.clone() };
    let unit = AppendUnit {
        batch_id: None,
        received_ns: 1,
        batches: vec![metrics(&[1.0, 2.0, 3.0]), logs(&["a", "b"])],
    };
    node.append(&TenantId::default(), unit).await.unwrap();
    until("all is sent", || f.accounts().iter().all(|a| a.pending == 0)).await;
    let mut accounts: Vec<(String, String, u64)> = f
        .accounts()
        .into_iter()
        .inspect(|a| assert!(a.adds_up()))
        .map(|a| (a.destination, a.signal, a.acknowledged))
        .collect();
    accounts.sort();
    let of = |d: &str, s: &str, n| (d.to_owned(), s.to_owned(), n);
    assert_eq!(accounts, [of("es", "logs", 2), of("loki", "logs", 2), of("prometheus", "metrics", 3)]);
    assert_eq!(prometheus.asked.lock().len(), 2);
    let text = registry.encode();
    for line in [
        "orrery_forward_acknowledged_items_total{destination=\"prometheus\",signal=\"metrics\",class=\"metrics\"} 3",
        "orrery_forward_address_in_use{destination=\"loki\"} 1",
        "orrery_forward_pending_items{destination=\"es\",signal=\"logs\",class=\"logs\"} 0",
        "orrery_forward_lag_seconds{destination=\"es\",signal=\"logs\",class=\"logs\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    f.close(Duration::from_secs(10)).await;
}
