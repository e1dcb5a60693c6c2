//! Targets from DNS records (`dns_sd_config`), looked up at intervals.

use std::collections::BTreeMap;

use model::Labels;
use net::dns::{Record, Resolver};

use super::{ADDRESS, DnsDiscovery, Group, Source};

const NAME: &str = "__meta_dns_name";
const SRV_TARGET: &str = "__meta_dns_srv_record_target";
const SRV_PORT: &str = "__meta_dns_srv_record_port";
const MX_TARGET: &str = "__meta_dns_mx_record_target";
const NS_TARGET: &str = "__meta_dns_ns_record_target";

pub(super) async fn run(source: Source, config: DnsDiscovery) {
    let mut found: BTreeMap<String, Group> = BTreeMap::new();
    let mut failing = false;
    loop {
        let looked_up = tokio::select! {
            all = look_up(&source, &config) => all,
            () = source.context.shutdown.started() => return,
        };
        let mut failed = false;
        for (name, result) in looked_up {
            match result {
                Ok(group) => {
                    found.insert(name, group);
                }
                Err(error) => {
                    source.counts.dns_failures.inc();
                    source.failed("dns", failing, &name, &error);
                    failed = true;
                }
            }
        }
        failing = failed;
        source.found.set(found.values().cloned().collect());
        if !source.context.sleep(config.refresh).await {
            return;
        }
    }
}

/// All names at once; one that cannot be resolved does not hold up the others.
async fn look_up(source: &Source, config: &DnsDiscovery) -> Vec<(String, Result<Group, String>)> {
    // Read each time: the machine may have moved to another network.
    let resolver = Resolver::system();
    let one = |name: &String| {
        let (name, resolver) = (name.clone(), resolver.clone());
        source.counts.dns_lookups.inc();
        async move {
            let records = match resolver {
                Ok(resolver) => resolver.lookup(&name, config.kind).await,
                Err(e) => Err(e),
            };
            let group = records.map(|r| group(&name, &r, config.port)).map_err(|e| e.to_string());
            (name, group)
        }
    };
    futures::future::join_all(config.names.iter().map(one)).await
}

/// The targets a name's records stand for.
pub(super) fn group(name: &str, records: &[Record], port: u16) -> Group {
    let target = |record: &Record| {
        let mut pairs = vec![(NAME, name.to_owned())];
        let mut add = |label, value: &str| pairs.push((label, value.to_owned()));
        let address = match record {
            Record::A(ip) => format!("{ip}:{port}"),
            Record::Aaaa(ip) => format!("[{ip}]:{port}"),
            Record::Srv { target, port } => {
                add(SRV_TARGET, target);
                add(SRV_PORT, &port.to_string());
                format!("{}:{port}", target.trim_end_matches('.'))
            }
            Record::Mx { target } => {
                add(MX_TARGET, target);
                format!("{}:{port}", target.trim_end_matches('.'))
            }
            Record::Ns { target } => {
                add(NS_TARGET, target);
                format!("{}:{port}", target.trim_end_matches('.'))
            }
        };
        pairs.push((ADDRESS, address));
        Labels::from_pairs(pairs)
    };
    // Servers rotate their records; the same set must not look like a change.
    let mut targets: Vec<Labels> = records.iter().map(target).collect();
    targets.sort_unstable();
    targets.dedup();
    Group { targets, labels: Labels::default() }
}
