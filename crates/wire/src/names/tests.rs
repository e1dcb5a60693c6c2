use proptest::prelude::*;

use super::*;

#[test]
fn names_get_units_and_suffixes_as_prometheus_gives_them() {
    use NameKind::{Counter, Gauge, Other};
    for (name, unit, kind, want) in [
        ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
        ("system.cpu.utilization", "1", Gauge, "system_cpu_utilization_ratio"),
        ("system.cpu.time", "s", Counter, "system_cpu_time_seconds_total"),
        ("system.io", "foo/bar", Counter, "system_io_foo_per_bar_total"),
        ("hw.io", "By", Counter, "hw_io_bytes_total"),
        ("net.rate", "By/s", Gauge, "net_rate_bytes_per_second"),
        ("network.transmitted_bytes_total", "By", Counter, "network_transmitted_bytes_total"),
        ("requests", "{request}", Counter, "requests_total"),
        ("requests.total", "{request}", Counter, "requests_total"),
        ("broken.metric.speed", "km/h", Gauge, "broken_metric_speed_km_per_hour"),
        ("active_ratio", "1", Gauge, "active_ratio"),
        ("already.seconds", "s", Gauge, "already_seconds"),
        ("1st.thing", "", Other, "_1st_thing"),
        ("a..b--c", "", Other, "a_b_c"),
        ("rule:sum", "", Gauge, "rule:sum"),
        ("errors", "1", Counter, "errors_total"),
        ("temp", "Cel", Gauge, "temp_celsius"),
        ("x", "{a}/{b}", Gauge, "x"),
        ("日本", "", Gauge, ""),
    ] {
        assert_eq!(metric_name(name, unit, kind), want, "{name} {unit}");
    }
}

#[test]
fn attribute_keys_become_label_names() {
    for (key, want) in [
        ("http.request.method", "http_request_method"),
        ("plain", "plain"),
        ("1st", "key_1st"),
        ("_private", "key_private"),
        ("__name__", "__name__"),
        (".dot", "key_dot"),
        ("..dots", "__dots"),
        ("k8s.pod/label", "k8s_pod_label"),
        ("é", "key_"),
    ] {
        assert_eq!(label_name(key), want, "{key}");
    }
}

proptest! {
    #[test]
    fn every_name_is_a_classic_one_or_empty(name: String, unit: String, key in ".+") {
        let m = metric_name(&name, &unit, NameKind::Counter);
        prop_assert!(model::labels::is_classic_metric_name(&m), "{m:?}");
        let l = label_name(&key);
        prop_assert!(model::labels::is_classic_label_name(&l), "{key:?} {l:?}");
    }
}
