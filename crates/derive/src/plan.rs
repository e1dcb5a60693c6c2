//! What is looked for in a span, worked out once from the options.

use model::{AnyValue, Attributes};

use crate::{
    histogram::Bounds,
    labels::{dimension_label, side_label},
    options::Options,
};

pub(crate) struct Plan {
    pub(crate) options: Options,
    wanted: Wanted,
    /// Where the dimensions of RED stand among what is wanted, and their labels.
    pub(crate) red: Vec<usize>,
    pub(crate) red_labels: Vec<String>,
    pub(crate) red_bounds: Bounds,
    /// The same of the service graph; labels of client and server.
    pub(crate) graph: Vec<usize>,
    pub(crate) graph_labels: [Vec<String>; 2],
    pub(crate) graph_bounds: Bounds,
    pub(crate) peers: Vec<usize>,
    pub(crate) databases: Vec<usize>,
    /// What names a database before its own attributes do.
    pub(crate) peer_service: usize,
    pub(crate) server_address: usize,
    pub(crate) peer_address: usize,
    pub(crate) peer_port: usize,
}

/// Attribute keys, each with a number.
#[derive(Default)]
struct Wanted {
    keys: Vec<String>,
    /// A bit for each length that a key has; the last one for all that are longer.
    lengths: u128,
}

/// Values found, by the number of their key.
pub(crate) type Found<'a> = Vec<Option<&'a AnyValue>>;

impl Wanted {
    fn number(&mut self, key: &str) -> usize {
        self.lengths |= length_bit(key);
        let known = self.keys.iter().position(|k| k == key);
        known.unwrap_or_else(|| {
            self.keys.push(key.to_owned());
            self.keys.len() - 1
        })
    }

    fn numbers(&mut self, keys: &[String]) -> Vec<usize> {
        keys.iter().map(|k| self.number(k)).collect()
    }
}

fn length_bit(key: &str) -> u128 {
    1 << key.len().min(127)
}

impl Plan {
    pub(crate) fn new(options: Options) -> Self {
        let mut wanted = Wanted::default();
        let red = options.red.clone();
        let graph = options.graph.clone();
        let red_dimensions = red.as_ref().map(|r| r.dimensions.clone()).unwrap_or_default();
        let graph_dimensions = graph.as_ref().map(|g| g.dimensions.clone()).unwrap_or_default();
        let side = |side: &str| graph_dimensions.iter().map(|d| side_label(side, d)).collect();
        // Without a service graph nothing is looked for on its behalf.
        let mut named = |key: &str| if graph.is_some() { wanted.number(key) } else { usize::MAX };
        let (peer_service, server_address) = (named("peer.service"), named("server.address"));
        let (peer_address, peer_port) = (named("network.peer.address"), named("network.peer.port"));
        Plan {
            red: wanted.numbers(&red_dimensions),
            red_labels: red_dimensions.iter().map(|d| dimension_label(d)).collect(),
            red_bounds: Bounds::of(red.as_ref().map(|r| &r.latency)),
            graph: wanted.numbers(&graph_dimensions),
            graph_labels: [side("client"), side("server")],
            graph_bounds: Bounds::of(graph.as_ref().map(|g| &g.latency)),
            peers: graph.as_ref().map(|g| wanted.numbers(&g.peer_attributes)).unwrap_or_default(),
            databases: graph.as_ref().map(|g| wanted.numbers(&g.database_attributes)).unwrap_or_default(),
            peer_service,
            server_address,
            peer_address,
            peer_port,
            wanted,
            options,
        }
    }

    /// Writes into `found` what of the attributes is wanted; of a key given twice the first.
    pub(crate) fn find<'a>(&self, attributes: &'a Attributes, found: &mut Found<'a>) {
        found.clear();
        found.resize(self.wanted.keys.len(), None);
        for (key, value) in &attributes.0 {
            if self.wanted.lengths & length_bit(key) == 0 {
                continue;
            }
            let places = self.wanted.keys.iter().zip(found.iter_mut());
            for (_, place) in places.filter(|(wanted, _)| *wanted == key) {
                place.get_or_insert(value);
            }
        }
    }

    /// Whether anything is looked for in spans at all.
    pub(crate) fn wants_nothing(&self) -> bool {
        self.wanted.keys.is_empty()
    }

    /// Series that one combination of RED labels makes.
    pub(crate) fn red_series(&self) -> usize {
        2 + self.red_bounds.series()
    }

    /// Series that one edge makes.
    pub(crate) fn edge_series(&self) -> usize {
        2 + 2 * self.graph_bounds.series()
    }
}
