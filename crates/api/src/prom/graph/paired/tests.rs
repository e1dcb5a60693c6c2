use model::SpanStatus;

use super::*;

/// A line for each span: service, cluster, namespace, kind, id, parent, milliseconds, and `x` where it failed.
fn halves(text: &str) -> Halves {
    let mut halves = Halves::default();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [service, cluster, namespace, kind, id, parent, ms, rest @ ..] = words.as_slice() else {
            panic!("{line}")
        };
        let mut origin = SpanOrigin::default();
        for (key, value) in
            [("service.name", service), ("cluster.id", cluster), ("k8s.namespace.name", namespace)]
        {
            origin.resource.attributes.0.push((key.to_owned(), (**value).into()));
        }
        let number = |t: &str| t.parse::<u64>().unwrap().to_be_bytes();
        let code = if rest == ["x"] { StatusCode::Error } else { StatusCode::Unset };
        let span = Span {
            trace_id: [7; 16],
            span_id: number(id),
            parent_span_id: number(parent),
            kind: match *kind {
                "client" => SpanKind::Client,
                "server" => SpanKind::Server,
                "producer" => SpanKind::Producer,
                "consumer" => SpanKind::Consumer,
                other => panic!("{other}"),
            },
            end_ns: ms.parse::<i64>().unwrap() * 1_000_000,
            status: SpanStatus { code, ..SpanStatus::default() },
            ..Span::default()
        };
        halves.add(&SpanBatch { origins: vec![origin], spans: vec![span] }, |_| true);
    }
    halves
}

fn edges(text: &str, one_in: u64) -> Vec<String> {
    let said = |e: &PairedEdge| {
        let labels: Vec<String> = e.labels().iter().map(|(n, v)| format!("{n}={v}")).collect();
        format!("{} {} {} {}", labels.join(","), e.requests, e.failed, e.p95_s)
    };
    halves(text).edges(one_in).iter().map(said).collect()
}

#[test]
fn halves_of_two_clusters_make_an_edge_with_both_of_them() {
    let text = "
        web    dev-01  shop client   2 1 30
        orders prod-01 shop server   3 2 20 x
        web    dev-01  shop client   4 1 30 x
        orders prod-01 shop server   5 4 10
        web    dev-01  shop client   6 1 30
        lost   dev-01  shop server   8 99 10";
    let labels = "client=web,client_k8s_namespace_name=shop,cluster=dev-01,server=orders,\
                  server_cluster=prod-01,server_k8s_namespace_name=shop";
    assert_eq!(edges(text, 1), [format!("{labels} 2 2 0.02")]);
    assert_eq!(edges(text, 8), [format!("{labels} 16 16 0.02")], "each stands for eight");
}

#[test]
fn a_span_that_two_replicas_have_is_one_and_a_shared_id_is_a_pair() {
    let text = "
        web    a n client   2 1 30
        web    a n client   2 1 30
        orders a n server   2 1 20
        orders a n server   2 1 20";
    let labels = "client=web,client_k8s_namespace_name=n,cluster=a,server=orders,server_k8s_namespace_name=n";
    assert_eq!(edges(text, 1), [format!("{labels} 1 0 0.02")]);
}

#[test]
fn each_consumer_of_a_message_is_a_request() {
    let text = "
        web  a n producer 2 1 1
        mail a n consumer 3 2 5
        bill b n consumer 4 2 7";
    let labels = |server, more| {
        format!(
            "client=web,client_k8s_namespace_name=n,cluster=a,connection_type=messaging_system,server={server},\
             {more}server_k8s_namespace_name=n"
        )
    };
    let expected = [
        format!("{} 1 0 0.007", labels("bill", "server_cluster=b,")),
        format!("{} 1 0 0.005", labels("mail", "")),
    ];
    assert_eq!(edges(text, 1), expected);
}
