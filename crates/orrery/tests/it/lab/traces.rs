//! Random traces whose spans lie in different clusters, and searches for them.

use super::{
    clusters::{Clusters, Spanned, now_s},
    questions::TENANT,
};
use crate::node::encode;

const TRACES: u64 = 40;
const SERVICES: [&str; 4] = ["front", "cart", "pay", "stock"];

/// Numbers that look random and are the same in each run (splitmix64, Steele and others 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// Sends the traces; the second in which the first begins. One a minute, so that none begins with another.
pub async fn fill(clusters: &Clusters) -> i64 {
    let base_s = (now_s() / 60 - 60) * 60;
    let names: Vec<String> = clusters.homes.keys().cloned().collect();
    let mut random = Random(25);
    let mut dealt: Vec<Vec<Spanned>> = vec![Vec::new(); names.len()];
    for trace in 0..TRACES {
        let spans = 1 + random.below(8);
        for n in 0..spans {
            let cluster = random.below(names.len() as u64) as usize;
            let parent = if n == 0 { 0 } else { ((trace + 1) << 8) + 1 + random.below(n) };
            dealt[cluster].push(Spanned {
                trace: u128::from(trace) + 1,
                id: ((trace + 1) << 8) + 1 + n,
                parent,
                name: format!("op-{}", random.below(5)),
                service: SERVICES[random.below(4) as usize].to_owned(),
                start_ns: (base_s + trace as i64 * 60) * 1_000_000_000 + n as i64 * 7_000_000,
                duration_ns: (1 + random.below(900)) as i64 * 1_000_000,
                attributes: vec![("user".to_owned(), format!("u{}", random.below(6)))],
                error: random.below(5) == 0,
            });
        }
    }
    for (cluster, spans) in names.iter().zip(dealt) {
        clusters.spans(cluster, TENANT, &spans).await;
    }
    base_s
}

/// Paths of the questions: by id, by service and operation, by tags, by duration, with a limit.
pub fn searches(base_s: i64) -> Vec<String> {
    let (start, end) = (base_s * 1_000_000, (base_s + 3600) * 1_000_000);
    let mut out: Vec<String> = (1..=TRACES + 1).map(|t| format!("/jaeger/api/traces/{t:032x}")).collect();
    let mut search = |more: String| {
        out.push(format!("/jaeger/api/traces?start={start}&end={end}&{more}"));
    };
    for service in SERVICES {
        search(format!("service={service}&limit=100"));
        for limit in [1, 3, 7] {
            search(format!("service={service}&limit={limit}"));
        }
        search(format!("service={service}&operation=op-1&limit=100"));
        search(format!("service={service}&minDuration=300ms&maxDuration=600ms&limit=100"));
        search(format!("service={service}&limit=100&tags={}", encode("{\"user\":\"u3\"}")));
        search(format!("service={service}&limit=5&tags={}", encode("{\"error\":\"true\"}")));
        search(format!("service={service}&limit=100&tags={}", encode("{\"k8s.cluster.name\":\"east\"}")));
    }
    search("service=nobody&limit=10".to_owned());
    out.push("/jaeger/api/services".to_owned());
    out.push("/jaeger/api/services/cart/operations".to_owned());
    out
}
