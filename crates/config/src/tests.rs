use std::{path::Path, time::Duration};

use proptest::prelude::*;

use super::*;

mod named;

fn problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("o.yaml")) {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(p)) => p.iter().map(Problem::to_string).collect(),
        Err(e) => vec![e.to_string()],
    }
}

#[test]
fn an_empty_file_gives_working_defaults() {
    let n = parse("# nothing\n", Path::new("o.yaml")).unwrap();
    assert_eq!(n.listen.http.as_ref().unwrap().address.to_string(), "127.0.0.1:9494");
    assert_eq!(n.retention.logs, Some(Duration::from_secs(14 * 86_400)));
    assert!(n.memory.limit_bytes > 0 && n.disk.reserve_bytes > 0);
    assert!(n.collect.host.is_some());
    assert_eq!(n, Node { text: n.text.clone(), ..defaults() });
}

#[test]
fn every_problem_is_named_with_line_and_field() {
    let text = "cluster: a/b\nretention:\n  logs: soon\nlisten: {http: '0.0.0.0:1'}\nbucket: []\n";
    let p = problems(text);
    assert_eq!(p.len(), 4, "{p:#?}");
    assert!(p.iter().any(|m| m.starts_with("o.yaml:1:10: cluster: ")), "{p:#?}");
    assert!(
        p.iter().any(|m| m.starts_with("o.yaml:3:9: retention.logs: \"soon\" is not a duration")),
        "{p:#?}"
    );
    assert!(p.iter().any(|m| m.contains("listen.http") && m.contains("insecure: true")), "{p:#?}");
    assert!(p.iter().any(|m| m.starts_with("o.yaml:5:9: bucket: is not supported")), "{p:#?}");
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    let p = problems("data_dir: x\nretension: {}\n");
    assert_eq!(p.len(), 1);
    assert!(p[0].starts_with("o.yaml:2:") && p[0].contains("retension"), "{p:#?}");
}

#[test]
fn scalars_may_be_numbers_or_text_and_zero_keeps_for_ever() {
    let n = parse(
        "retention: {metrics: 0, logs: '0', max_bytes: 1000}\nlisten: {otlp_grpc: off}",
        Path::new("o.yaml"),
    )
    .unwrap();
    assert_eq!((n.retention.metrics, n.retention.logs), (None, None));
    assert_eq!(n.retention.max_bytes, Some(1000));
    assert_eq!(n.listen.otlp_grpc, None);
}

#[test]
fn a_prometheus_file_is_read_inline_and_all_its_mistakes_are_named() {
    let text = "prometheus:\n  global: {scrape_interval: 5s}\n  scrape_configs:\n  - job_name: a\n    static_configs: [{targets: ['h:1'], labels: {x: y}}]\n  - job_name: b\n    file_sd_config: []\n    relabel_configs: [{action: nope}]\n";
    let p = problems(text);
    assert_eq!(p.len(), 2, "{p:#?}");
    assert!(p[0].starts_with("o.yaml:8:23: ") && p[0].contains("nope"), "{p:#?}");
    assert!(p[1].starts_with("o.yaml:7:5: ") && p[1].contains("file_sd_config"), "{p:#?}");
    let good = text.split("  - job_name: b").next().unwrap();
    let n = parse(good, Path::new("o.yaml")).unwrap();
    assert_eq!(n.scrape[0].interval, Duration::from_secs(5));
    let agent::discovery::Discovery::Static(groups) = &n.scrape[0].discovery[0] else { panic!() };
    assert_eq!(groups[0].targets[0].to_string(), "{__address__=\"h:1\"}");
    assert_eq!(groups[0].labels.to_string(), "{x=\"y\"}");
}

#[test]
fn a_prometheus_file_beside_the_configuration_is_found_and_its_problems_carry_its_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.yml"), "scrape_configs:\n- job_name: x\n  scheme: ftp\n").unwrap();
    std::fs::write(dir.path().join("o.yaml"), "prometheus: p.yml\n").unwrap();
    let err = load(&dir.path().join("o.yaml")).unwrap_err().to_string();
    assert!(err.contains("p.yml:3:11: prometheus.scrape_configs.scheme: \"ftp\""), "{err}");
}

#[test]
fn a_shown_configuration_holds_no_secret() {
    let shapes = [
        "basic_auth: {username: u, password: hunter2}",
        "\"password\": \"hunter2\"",
        "password : hunter2",
        "password:\n  hunter2\nafter: 1",
        "- credentials: >-\n    hunter2\n  after: 1",
        "{params: {token: [hunter2]}, authorization: {credentials: hunter2}}",
    ];
    for text in shapes {
        let shown = masked(text);
        assert!(!shown.contains("hunter2") && shown.contains("<secret>"), "{text}: {shown}");
        assert_eq!(shown.contains("after: 1"), text.contains("after: 1"), "{shown}");
    }
    assert_eq!(masked("password_file: f\na: 1\n"), "password_file: f\na: 1\n");
}

#[test]
fn an_interval_of_zero_is_unset_for_prometheus_and_an_error_for_host_metrics() {
    let text = "prometheus:\n  global: {scrape_interval: 0s}\n  scrape_configs: [{job_name: a}]\n";
    assert_eq!(parse(text, Path::new("o.yaml")).unwrap().scrape[0].interval, Duration::from_secs(60));
    assert!(problems("collect: {host: {interval: 0}}")[0].contains("collect.host.interval"));
}

#[test]
fn paths_are_relative_to_the_file() {
    let n = parse("collect: {files: {paths: [logs/*.log]}, host: {proc: p}}", Path::new("/etc/o/o.yaml"))
        .unwrap();
    assert_eq!(n.collect.files.unwrap().paths, ["/etc/o/logs/*.log"]);
    assert_eq!(n.collect.host.unwrap().proc, Path::new("/etc/o/p"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = parse(&text, Path::new("o.yaml"));
    }
}

#[test]
fn otlp_is_read_with_the_keys_of_prometheus_and_ours() {
    use ingest::{NameStrategy, Promote};
    let text = "otlp:\n  translation_strategy: NoUTF8EscapingWithSuffixes\n  promote_all_resource_attributes: true\n  \
                ignore_resource_attributes: [host.id]\n  convert_histograms_to_nhcb: true\n  promote_scope_metadata: true\n  \
                keep_identifying_resource_attributes: true\n  label_name_underscore_sanitization: false\n  \
                label_name_preserve_multiple_underscores: false\n  delta_max_series: 7\n  delta_max_idle: 5m\n";
    let n = parse(text, Path::new("o.yaml")).unwrap();
    let m = &n.otlp.metrics;
    assert_eq!(m.naming.strategy, NameStrategy::NoUtf8EscapingWithSuffixes);
    assert_eq!(m.promote, Promote::AllBut(vec!["host.id".to_owned()]));
    assert!(m.histograms_to_custom && m.promote_scope && m.keep_identifying);
    assert!(!m.naming.label_underscore_prefix && !m.naming.label_multiple_underscores);
    let deltas = n.otlp.deltas.unwrap();
    assert_eq!((deltas.max_series, deltas.max_idle), (7, Duration::from_secs(300)));
    let text = "prometheus:\n  otlp:\n    promote_resource_attributes: [k8s.pod.name]\n    translation_strategy: NoTranslation\n";
    let n = parse(text, Path::new("o.yaml")).unwrap();
    assert_eq!(n.otlp.metrics.promote, Promote::Only(vec!["k8s.pod.name".to_owned()]));
    assert_eq!(n.otlp.metrics.naming.strategy, NameStrategy::NoTranslation);
    let n = parse(&format!("{text}otlp: {{delta_to_cumulative: false}}\n"), Path::new("o.yaml")).unwrap();
    assert_eq!((n.otlp.deltas, n.otlp.metrics.promote), (None, Promote::Only(vec![])), "ours wins");
}

#[test]
fn contradictions_in_otlp_are_named() {
    let text = "otlp:\n  translation_strategy: Plain\n  promote_resource_attributes: [a, a, '']\n  ignore_resource_attributes: [b]\n  \
                delta_max_idle: 0s\n";
    let p = problems(text);
    for part in [
        "otlp.translation_strategy: \"Plain\" is not known, use one of UnderscoreEscapingWithSuffixes",
        "otlp.promote_resource_attributes: names \"a\" twice",
        "otlp.promote_resource_attributes: has an empty attribute key",
        "otlp.ignore_resource_attributes: needs promote_all_resource_attributes",
        "otlp.delta_max_idle: must be more than zero",
    ] {
        assert!(p.iter().any(|m| m.contains(part)), "{part} is missing in {p:#?}");
    }
}
