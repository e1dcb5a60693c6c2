use std::{path::Path, time::Duration};

use agent::{
    discovery::Discovery,
    scrape::{Escaping, Names, Protocol},
};
use net::{Auth, Proxy, TlsVersion};

use super::*;
use crate::Problem;

/// Checks a text as `p.yml`; the problems and the notices are lines.
fn read(text: &str) -> (Prometheus, Vec<String>, Vec<String>) {
    read_as(text, Path::new("p.yml"))
}

fn read_as(text: &str, path: &Path) -> (Prometheus, Vec<String>, Vec<String>) {
    let mut c = Checker::new(path, text);
    let found = match yaml::parse(text) {
        Ok(root) => check(&root, 1 << 30, &mut c),
        Err(e) => {
            c.problem_at("", e.at, e.message);
            Prometheus::default()
        }
    };
    let lines = |all: Vec<Problem>| all.iter().map(Problem::to_string).collect();
    let (problems, notices) = c.finish();
    (found, lines(problems), lines(notices))
}

/// Whether Prometheus takes the file, by its name and by what Prometheus' own tests expect of it.
fn is_good(name: &str) -> bool {
    const BAD: [&str; 3] = [
        "config_with_deprecated_am_api_config.yml",
        "otlp_allow_utf8.incompatible.yml",
        "otlp_no_translation.incompatible.yml",
    ];
    !name.contains(".bad.") && !BAD.contains(&name)
}

#[test]
fn every_configuration_of_prometheus_tests_gets_the_verdict_prometheus_gives_it() {
    let directory = Path::new(env!("ORRERY_CHECKOUT")).join("../shared/data/prom-config");
    let Ok(files) = std::fs::read_dir(&directory) else {
        println!("skipped: {} is not there", directory.display());
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".yml") {
            continue;
        }
        count += 1;
        let bytes = std::fs::read(file.path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (_, problems, notices) = read_as(&text, &file.path());
        if problems.is_empty() != is_good(&name) {
            wrong.push(format!("{name}: {problems:#?}"));
        }
        let located = |l: &String| l.split(':').nth(1).is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > 0));
        assert!(problems.iter().chain(&notices).all(located), "{name}: {problems:#?} {notices:#?}");
    }
    println!("{count} files");
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_job_takes_from_global_what_it_does_not_say() {
    let text = "\
global:
  scrape_interval: 20s
  sample_limit: 10
  label_limit: 5
  scrape_native_histograms: true
scrape_configs:
- job_name: a
- job_name: b
  scrape_interval: 5s
  sample_limit: 3
  scrape_native_histograms: false
  body_size_limit: 1MB
  params: {module: [x, y]}
  scheme: https
";
    let (p, problems, notices) = read(text);
    assert!(problems.is_empty() && notices.is_empty(), "{problems:?} {notices:?}");
    let [a, b] = p.jobs.as_slice() else { panic!() };
    assert_eq!((a.interval, a.timeout), (Duration::from_secs(20), Duration::from_secs(10)));
    assert_eq!((a.limits.samples, a.limits.labels), (10, 5));
    assert_eq!(a.protocols, Protocol::PROTO_FIRST);
    assert_eq!((b.interval, b.timeout), (Duration::from_secs(5), Duration::from_secs(5)));
    assert_eq!((b.limits.samples, b.limits.labels, b.limits.body_size_bytes), (3, 5, 1 << 20));
    assert_eq!(b.protocols, Protocol::TEXT_FIRST);
    assert_eq!(b.params["module"], ["x", "y"]);
}

#[test]
fn names_and_escaping_follow_each_other() {
    let job = |text: &str| read(text).0.jobs.remove(0);
    let j = job("global: {metric_name_validation_scheme: legacy}\nscrape_configs: [{job_name: a}]\n");
    assert_eq!((j.names, j.escaping), (Names::Legacy, Escaping::Underscores));
    let j = job("scrape_configs: [{job_name: a, metric_name_validation_scheme: legacy}]\n");
    assert_eq!((j.names, j.escaping), (Names::Legacy, Escaping::Underscores));
    let j = job("global: {metric_name_escaping_scheme: values}\nscrape_configs: [{job_name: a}]\n");
    assert_eq!((j.names, j.escaping), (Names::Utf8, Escaping::Values));
}

#[test]
fn the_client_is_read_whole_with_paths_relative_to_the_file() {
    let text = "\
scrape_configs:
- job_name: a
  oauth2:
    client_id: me
    client_secret_file: s/secret
    token_url: https://t/token
    scopes: [r]
    endpoint_params: {k: v}
  tls_config: {ca_file: ca.pem, server_name: x, insecure_skip_verify: true, min_version: TLS13}
  proxy_url: http://proxy:3128
  no_proxy: 10.0.0.0/8
  http_headers: {X-A: {values: [v], secrets: [s], files: [f]}}
  follow_redirects: false
  enable_http2: false
- job_name: b
  bearer_token_file: token
- job_name: c
  basic_auth: {username: u, password: p}
";
    let (p, problems, _) = read_as(text, Path::new("/etc/p/p.yml"));
    assert!(problems.is_empty(), "{problems:?}");
    let http = &p.jobs[0].http;
    let Auth::OAuth2(o) = &http.auth else { panic!() };
    assert_eq!(format!("{:?}", o.client_secret), "file /etc/p/s/secret");
    assert_eq!((o.scopes.len(), o.endpoint_params["k"].as_str()), (1, "v"));
    assert_eq!(http.tls.min_version, Some(TlsVersion::Tls13));
    assert!(
        http.tls.insecure_skip_verify && http.tls.server_name == "x" && !http.follow_redirects && !http.http2
    );
    assert!(matches!(&http.proxy, Proxy::Url { no_proxy, .. } if no_proxy == "10.0.0.0/8"));
    assert_eq!(http.headers[0].1.len(), 3);
    assert!(matches!(&p.jobs[1].http.auth, Auth::Header { scheme, .. } if scheme == "Bearer"));
    assert!(matches!(&p.jobs[2].http.auth, Auth::Basic { .. }));
}

#[test]
fn discoveries_are_read_and_what_does_not_run_is_named_with_its_line() {
    let text = "\
scrape_configs:
- job_name: a
  static_configs: [{targets: ['h:1']}]
  file_sd_configs: [{files: ['t/*.json'], refresh_interval: 1m}]
  http_sd_configs: [{url: 'http://sd/targets', basic_auth: {username: u}}]
  dns_sd_configs: [{names: [x.local], type: A, port: 9100}]
  kubernetes_sd_configs:
  - role: pod
rule_files: [r.yml]
remote_write: [{url: 'http://r/push'}]
";
    let (p, problems, notices) = read_as(text, Path::new("/etc/p.yml"));
    assert!(problems.is_empty(), "{problems:?}");
    let [Discovery::Static(_), Discovery::File(f), Discovery::Http(h), Discovery::Dns(d)] =
        p.jobs[0].discovery.as_slice()
    else {
        panic!("{:?}", p.jobs[0].discovery)
    };
    assert_eq!((f.files[0].to_str(), f.refresh), (Some("/etc/t/*.json"), Duration::from_secs(60)));
    assert_eq!((h.url.as_str(), h.refresh), ("http://sd/targets", Duration::from_secs(60)));
    assert_eq!((d.port, d.refresh), (9100, Duration::from_secs(30)));
    assert_eq!(notices.len(), 2, "{notices:#?}");
    assert!(
        notices[0].starts_with("/etc/p.yml:8:5: prometheus.scrape_configs.kubernetes_sd_configs: is not")
    );
    assert!(notices[1].contains("rule_files"));
    assert_eq!(p.remote_write[0].http.urls, ["http://r/push"]);
    assert_eq!(p.remote_write[0].limits.max_backlog_bytes, 1 << 30);
}

#[test]
fn files_that_the_file_names_hold_further_jobs() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let one = "scrape_configs:\n- job_name: one\n  bearer_token_file: t\n- job_name: main\n  scheme: x\n";
    std::fs::write(dir.path().join("jobs/1.yml"), one).unwrap();
    let text = "scrape_configs: [{job_name: main}]\nscrape_config_files: ['jobs/*.yml', 'none.yml']\n";
    let (p, problems, _) = read_as(text, &dir.path().join("p.yml"));
    assert_eq!(p.jobs.len(), 3);
    let Auth::Header { credentials, .. } = &p.jobs[1].http.auth else { panic!() };
    assert!(format!("{credentials:?}").ends_with("/jobs/t"), "{credentials:?}");
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(
        problems[0].contains("1.yml:5:11: ") && problems[1].contains("\"main\" is used"),
        "{problems:#?}"
    );
}

#[test]
fn every_mistake_is_named_in_one_run() {
    let text = "\
scrape_configs:
- job_name: a
  scrape_interval: soon
  bearer_token: x
  basic_auth: {username: u}
  wrong: 1
- job_name: a
  static_configs:
  -
";
    let (_, problems, _) = read(text);
    for (line, says) in [
        ("p.yml:3:20: ", "not a duration"),
        ("p.yml:4:17: ", "at most one of basic_auth, bearer_token"),
        ("p.yml:6:3: ", "\"wrong\" is not a key"),
        ("p.yml:7:13: ", "is used by another"),
        ("p.yml:9:", "empty entry"),
    ] {
        assert!(
            problems.iter().any(|p| p.starts_with(line) && p.contains(says)),
            "{line}{says}: {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 5, "{problems:#?}");
}
