//! Edge to hub over a link that is cut, both killed in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

use super::{adds_up, drained, exactly_once, metric, senders, sending};
use crate::{node::Home, peers::free_port};

/// A link between two nodes that can be cut: bytes that are under way are lost, and nobody is told.
struct Link {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Link {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link { port: listener.local_addr().unwrap().port(), is_cut: Arc::default() };
        let is_cut = link.is_cut.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, is_cut.clone()));
            }
        });
        link
    }

    fn cut(&self) {
        self.is_cut.store(true, Relaxed);
    }

    fn mend(&self) {
        self.is_cut.store(false, Relaxed);
    }
}

async fn carry(mut near: TcpStream, port: u16, is_cut: Arc<AtomicBool>) {
    let until_cut = async {
        while !is_cut.load(Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let both = async {
        let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    };
    tokio::select! {
        () = until_cut => {}
        _ = both => {}
    }
}

const PAUSE: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_cuts_and_kills_of_both_ends_the_ledgers_agree_and_so_do_counts_at_both_ends() {
    let hub_home = Home::on_port(free_port(), "cluster: hub-01\n");
    let link = Link::to(hub_home.http_port()).await;
    let at = link.port;
    let edge_home = Home::new(&format!(
        "cluster: edge-01\nexternal_labels: {{replica: a}}\nforward:\n  - {{name: metrics, to: remote_write, endpoint: 'http://127.0.0.1:{at}', protobuf_message: io.prometheus.write.v2.Request}}\n  - {{name: logs, to: loki, endpoint: 'http://127.0.0.1:{at}'}}\n  - {{name: traces, to: otlp, endpoint: 'http://127.0.0.1:{at}', signals: [traces]}}\n"
    ));
    let mut all = senders(2, "c");
    let mut hub = Some(hub_home.start());
    let mut edge = Some(edge_home.start());
    for round in 0..5 {
        let node = edge.take().unwrap();
        let http = node.http.clone();
        sending(&mut all, &http, async {
            tokio::time::sleep(PAUSE).await;
            match round {
                0 => link.cut(),
                1 => hub.take().unwrap().kill(),
                _ => {}
            }
            tokio::time::sleep(PAUSE).await;
            match round {
                2 => edge = Some(node),
                3 => {
                    node.kill();
                    hub.take().unwrap().kill();
                }
                _ => node.kill(),
            }
        })
        .await;
        link.mend();
        if hub.is_none() {
            hub = Some(hub_home.start());
        }
        if edge.is_none() {
            edge = Some(edge_home.start());
        }
    }
    let (edge, hub) = (edge.unwrap(), hub.unwrap());
    // What died with a node is sent again.
    let http = edge.http.clone();
    sending(&mut all, &http, tokio::time::sleep(PAUSE)).await;

    for lane in drained(&edge, |_| true).await {
        adds_up(&lane);
        assert_eq!((&lane["state"], &lane["receiver_difference"]), (&"equal".into(), &0.into()), "{lane}");
        assert_eq!(lane["receiver"]["taken"], lane["acknowledged"], "{lane}");
    }
    let ledger = edge.json("/api/v1/orrery/ledger").await;
    assert_eq!(ledger["mismatches"], 0, "{ledger}");
    exactly_once(&all, &edge, "edge").await;
    exactly_once(&all, &hub, "hub").await;

    // The hub tells the same by itself, and how old it was when it came.
    let acknowledged: usize = all.iter().map(|s| s.acknowledged.len()).sum();
    let sources = hub.json("/api/v1/orrery/ledger").await["sources"].as_array().cloned().unwrap();
    let of_edge = sources.iter().filter(|s| s["cluster"] == "edge-01");
    let taken: u64 = of_edge.map(|s| s["taken"].as_u64().unwrap()).sum();
    // Metrics that the edge derives of its spans come on top of what was sent to it.
    assert!(taken >= acknowledged as u64, "{taken} of {acknowledged}: {sources:?}");
    let edge_label = r#"cluster="edge-01""#;
    for stage in ["received", "stored"] {
        let stage = format!("stage=\"{stage}\"");
        let lag =
            metric(&hub, "orrery_pipeline_lag_seconds", &[edge_label, r#"signal="logs""#, &stage]).await;
        assert!(lag.is_some(), "{stage}");
    }
    let queued =
        metric(&edge, "orrery_forward_pending_items", &[r#"destination="logs""#, r#"class="logs""#]).await;
    assert_eq!(queued, Some(0.0));
    println!("{acknowledged} items sent, {taken} at the hub, both ends equal");
}
