//! `orrery check config FILE`.

use std::path::Path;

use anyhow::Result;

pub fn config(file: &Path) -> Result<()> {
    let node = config::load(file)?;
    let shown = |l: &Option<config::Listener>| match l {
        Some(l) if l.tls.is_some() => format!("{} with TLS", l.address),
        Some(l) => l.address.to_string(),
        None => "off".to_owned(),
    };
    println!("{} is valid", file.display());
    for notice in &node.notices {
        println!("  note: {notice}");
    }
    let l = &node.listen;
    let listeners = [
        ("http", &l.http),
        ("otlp_grpc", &l.otlp_grpc),
        ("otlp_http", &l.otlp_http),
        ("elasticsearch", &l.elasticsearch),
        ("zipkin", &l.zipkin),
        ("jaeger_http", &l.jaeger_http),
        ("jaeger_grpc", &l.jaeger_grpc),
        ("syslog", &l.syslog),
        ("peers", &l.peers),
    ];
    println!("  listen {}", listeners.map(|(name, at)| format!("{name} {}", shown(at))).join(", "));
    println!("  data in {}, memory limit {} MiB", node.data_dir.display(), node.memory.limit_bytes >> 20);
    println!("  {} scrape job(s)", node.scrape.len());
    Ok(())
}
