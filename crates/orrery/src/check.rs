//! `orrery check config FILE`.

use std::path::Path;

use anyhow::Result;

pub fn config(file: &Path) -> Result<()> {
    let node = config::load(file)?;
    let or_off = |a: Option<std::net::SocketAddr>| a.map_or("off".to_owned(), |a| a.to_string());
    println!("{} is valid", file.display());
    for notice in &node.notices {
        println!("  note: {notice}");
    }
    println!(
        "  listen http {}, otlp_grpc {}, otlp_http {}",
        or_off(node.listen.http),
        or_off(node.listen.otlp_grpc),
        or_off(node.listen.otlp_http)
    );
    println!("  data in {}, memory limit {} MiB", node.data_dir.display(), node.memory.limit_bytes >> 20);
    println!("  {} scrape job(s)", node.scrape.len());
    Ok(())
}
