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
    println!(
        "  listen http {}, otlp_grpc {}, otlp_http {}, elasticsearch {}, syslog {}, peers {}",
        shown(&node.listen.http),
        shown(&node.listen.otlp_grpc),
        shown(&node.listen.otlp_http),
        shown(&node.listen.elasticsearch),
        shown(&node.listen.syslog),
        shown(&node.listen.peers)
    );
    println!("  data in {}, memory limit {} MiB", node.data_dir.display(), node.memory.limit_bytes >> 20);
    println!("  {} scrape job(s)", node.scrape.len());
    Ok(())
}
