//! What the shop's services do, and the attributes that their instrumentation gives it (OpenTelemetry semantic
//! conventions 1.28: http, rpc, db, messaging, k8s).

use model::{
    Attributes,
    attributes::{Resource, Scope},
    span::SpanOrigin,
};

use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    HttpClient,
    RpcServer,
    Rpc,
    Sql,
    Cache,
    Producer,
    Consumer,
    Inside,
}

/// One kind of call.
pub(super) struct Call {
    service: usize,
    pub way: Way,
    pub name: &'static str,
    /// Route, method, statement or destination.
    detail: &'static str,
    /// Whom it reaches, where it goes out.
    to: &'static str,
    /// Microseconds that it takes itself.
    pub usual_us: u32,
    pub calls: &'static [Next],
}

pub(super) struct Next {
    pub number: usize,
    /// At least and at most.
    pub times: (u64, u64),
}

const fn once(number: usize) -> Next {
    Next { number, times: (1, 1) }
}

const fn some(number: usize, least: u64, most: u64) -> Next {
    Next { number, times: (least, most) }
}

const fn call(
    service: usize,
    way: Way,
    name: &'static str,
    (detail, to): (&'static str, &'static str),
    usual_us: u32,
    calls: &'static [Next],
) -> Call {
    Call { service, way, name, detail, to, usual_us, calls }
}

/// Name, namespace, language, pods.
const SERVICES: [(&str, &str, &str, usize); 12] = [
    ("gateway", "edge", "go", 6),
    ("frontend", "shop", "nodejs", 8),
    ("checkout", "shop", "java", 6),
    ("cart", "shop", "dotnet", 6),
    ("catalog", "shop", "go", 6),
    ("pricing", "shop", "rust", 4),
    ("payment", "shop", "java", 4),
    ("shipping", "shop", "python", 3),
    ("search", "shop", "java", 6),
    ("recommendation", "shop", "python", 4),
    ("mail", "platform", "ruby", 2),
    ("accounting", "platform", "dotnet", 2),
];

/// The first five are how requests come in.
pub(super) const CALLS: [Call; 35] = [
    call(0, Way::Http, "GET /products/{id}", ("/products/{id}", ""), 900, &[once(5)]),
    call(0, Way::Http, "GET /search", ("/search", ""), 900, &[once(6)]),
    call(0, Way::Http, "POST /cart/items", ("/cart/items", ""), 800, &[once(7)]),
    call(0, Way::Http, "POST /checkout", ("/checkout", ""), 1200, &[once(8)]),
    call(0, Way::Http, "GET /healthz", ("/healthz", ""), 60, &[]),
    call(0, Way::HttpClient, "GET", ("/products/{id}", "frontend"), 300, &[once(9)]),
    call(0, Way::HttpClient, "GET", ("/search", "frontend"), 300, &[once(10)]),
    call(0, Way::HttpClient, "POST", ("/cart/items", "cart"), 300, &[once(11)]),
    call(0, Way::HttpClient, "POST", ("/checkout", "checkout"), 300, &[once(12)]),
    call(
        1,
        Way::Http,
        "GET /products/{id}",
        ("/products/{id}", ""),
        2500,
        &[once(13), once(14), some(15, 0, 1)],
    ),
    call(1, Way::Http, "GET /search", ("/search", ""), 2500, &[once(16), some(13, 1, 4)]),
    call(3, Way::Http, "POST /cart/items", ("/cart/items", ""), 1500, &[once(17), once(18), once(13)]),
    call(
        2,
        Way::Http,
        "POST /checkout",
        ("/checkout", ""),
        4000,
        &[once(19), once(20), once(21), once(22), once(23), once(24)],
    ),
    call(1, Way::Rpc, "shop.Catalog/GetProduct", ("GetProduct", "catalog"), 200, &[once(25)]),
    call(1, Way::Rpc, "shop.Pricing/Quote", ("Quote", "pricing"), 200, &[once(26)]),
    call(1, Way::HttpClient, "GET", ("/recommendations", "recommendation"), 250, &[once(27)]),
    call(1, Way::HttpClient, "POST", ("/v1/query", "search"), 250, &[once(28)]),
    call(3, Way::Cache, "HGETALL", ("HGETALL cart:?", "redis"), 250, &[]),
    call(3, Way::Cache, "HSET", ("HSET cart:? ? ?", "redis"), 300, &[]),
    call(2, Way::HttpClient, "GET", ("/cart", "cart"), 250, &[once(29)]),
    call(2, Way::Rpc, "shop.Pricing/Quote", ("Quote", "pricing"), 200, &[once(26)]),
    call(2, Way::HttpClient, "POST", ("/charge", "payment"), 400, &[once(30)]),
    call(
        2,
        Way::Sql,
        "INSERT shop.orders",
        (
            "INSERT INTO orders (id, user_id, total, currency, state) VALUES ($1, $2, $3, $4, $5) RETURNING id",
            "orders-db",
        ),
        1800,
        &[],
    ),
    call(
        2,
        Way::Sql,
        "UPDATE shop.stock",
        ("UPDATE stock SET reserved = reserved + $1 WHERE product_id = $2 AND available >= $1", "orders-db"),
        1500,
        &[],
    ),
    call(2, Way::Producer, "send orders", ("orders", "kafka"), 350, &[once(31), once(32)]),
    call(4, Way::RpcServer, "shop.Catalog/GetProduct", ("GetProduct", ""), 700, &[once(33)]),
    call(5, Way::RpcServer, "shop.Pricing/Quote", ("Quote", ""), 500, &[]),
    call(9, Way::Http, "GET /recommendations", ("/recommendations", ""), 6000, &[some(13, 0, 2)]),
    call(8, Way::Http, "POST /v1/query", ("/v1/query", ""), 9000, &[once(34)]),
    call(3, Way::Http, "GET /cart", ("/cart", ""), 900, &[once(17)]),
    call(6, Way::Http, "POST /charge", ("/charge", ""), 45_000, &[]),
    call(10, Way::Consumer, "process orders", ("orders", "kafka"), 5000, &[]),
    call(11, Way::Consumer, "process orders", ("orders", "kafka"), 3000, &[]),
    call(
        4,
        Way::Sql,
        "SELECT shop.products",
        (
            "SELECT id, name, description, price_cents, currency, updated_at FROM products WHERE id = $1",
            "catalog-db",
        ),
        900,
        &[],
    ),
    call(8, Way::Inside, "score hits", ("Scorer.score", ""), 4000, &[]),
];

const TROUBLE: [&str; 4] = [
    "context deadline exceeded",
    "connection reset by peer",
    "could not serialize access due to concurrent update",
    "upstream request timeout",
];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15",
    "okhttp/5.1.0",
];

/// Resource and scope of every pod of every service.
pub(super) fn origins() -> Vec<SpanOrigin> {
    SERVICES
        .iter()
        .flat_map(|(service, namespace, language, pods)| {
            (0..*pods).map(move |pod| origin(service, namespace, language, pod))
        })
        .collect()
}

fn origin(service: &str, namespace: &str, language: &str, pod: usize) -> SpanOrigin {
    let hash = (pod as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ service.len() as u64;
    let name = format!("{service}-{:05x}-{pod:02}", hash >> 44);
    let attributes = Attributes::from_iter([
        ("service.name", service),
        ("service.namespace", namespace),
        ("service.version", "2026.11.2"),
        ("service.instance.id", name.as_str()),
        ("deployment.environment.name", "production"),
        ("k8s.cluster.name", "prod-01"),
        ("k8s.namespace.name", namespace),
        ("k8s.deployment.name", service),
        ("k8s.pod.name", name.as_str()),
        ("k8s.node.name", ["node-a", "node-b", "node-c", "node-d"].get(pod % 4).copied().unwrap_or_default()),
        ("telemetry.sdk.name", "opentelemetry"),
        ("telemetry.sdk.language", language),
    ]);
    let scope = Scope {
        name: format!("io.opentelemetry.{language}.auto"),
        version: "2.11.0".to_owned(),
        ..Scope::default()
    };
    SpanOrigin { resource: Resource { attributes, ..Resource::default() }, scope }
}

/// Of one message of a call.
pub(super) fn message(r: &mut Random) -> Attributes {
    let mut a = Attributes::default();
    a.push("rpc.message.id", 1 + r.below(3) as i64);
    a.push("rpc.message.uncompressed_size", 40 + r.below(4000) as i64);
    a
}

pub(super) fn exception(r: &mut Random, message: &str) -> Attributes {
    let line = 10 + r.below(400);
    Attributes::from_iter([
        ("exception.type", "java.util.concurrent.TimeoutException".to_owned()),
        ("exception.message", message.to_owned()),
        (
            "exception.stacktrace",
            format!(
                "java.util.concurrent.TimeoutException: {message}\n\tat com.example.shop.client.Retry.call(Retry.java:{line})\n\tat com.example.shop.client.Pool.acquire(Pool.java:188)\n\tat com.example.shop.Handler.handle(Handler.java:{})\n\tat java.base/java.lang.Thread.run(Thread.java:1583)",
                line + 17
            ),
        ),
    ])
}

impl Call {
    /// The number of the origin: one pod of the service.
    pub fn origin(&self, pods: u64) -> u32 {
        let before: usize = SERVICES.iter().take(self.service).map(|s| s.3).sum();
        let own = SERVICES.get(self.service).map_or(1, |s| s.3) as u64;
        before as u32 + (pods.rotate_left(self.service as u32 * 5) % own) as u32
    }

    pub fn trouble(&self) -> &'static str {
        TROUBLE.get(self.service % TROUBLE.len()).copied().unwrap_or_default()
    }

    pub fn attributes(&self, r: &mut Random, (user, order): (&str, &str), failed: bool) -> Attributes {
        let mut a = Attributes::default();
        match self.way {
            Way::Http => self.http_server(&mut a, r, (user, order), failed),
            Way::HttpClient => self.http_client(&mut a, r, failed),
            Way::Rpc | Way::RpcServer => self.rpc(&mut a, failed),
            Way::Sql => self.sql(&mut a, r),
            Way::Cache => {
                a.push("db.system.name", "redis");
                a.push("db.operation.name", self.name);
                a.push("db.query.text", self.detail);
                a.push("server.address", self.to);
                a.push("server.port", 6379i64);
            }
            Way::Producer | Way::Consumer => self.messaging(&mut a, r, order),
            Way::Inside => a.push("code.function.name", self.detail),
        }
        a
    }

    fn status(&self, r: &mut Random, failed: bool) -> i64 {
        match (failed, r.below(100)) {
            (true, n) if n < 60 => 503,
            (true, _) => 500,
            (false, 0..2) => 404,
            (false, 2..4) => 304,
            _ => 200,
        }
    }

    fn http_server(&self, a: &mut Attributes, r: &mut Random, (user, order): (&str, &str), failed: bool) {
        let method = self.name.split(' ').next().unwrap_or("GET");
        a.push("http.request.method", method);
        a.push("url.scheme", "https");
        a.push("url.path", self.detail.replace("{id}", &r.below(50_000).to_string()));
        a.push("http.route", self.detail);
        a.push("server.address", SERVICES.get(self.service).map_or("", |s| s.0));
        a.push("server.port", 8080i64);
        a.push("client.address", format!("10.{}.{}.{}", r.below(8), r.below(256), r.below(256)));
        a.push("network.protocol.version", "1.1");
        a.push("user_agent.original", r.pick(&AGENTS).unwrap_or_default());
        a.push("http.response.status_code", self.status(r, failed));
        if self.service < 4 && self.detail != "/healthz" {
            a.push("app.user.id", user);
        }
        if self.detail == "/checkout" {
            a.push("app.order.id", order);
        }
        if failed {
            a.push("error.type", "503");
        }
    }

    fn http_client(&self, a: &mut Attributes, r: &mut Random, failed: bool) {
        a.push("http.request.method", self.name);
        let path = self.detail.replace("{id}", &r.below(50_000).to_string());
        a.push("url.full", format!("http://{}.shop.svc:8080{path}", self.to));
        a.push("server.address", format!("{}.shop.svc", self.to));
        a.push("server.port", 8080i64);
        a.push("peer.service", self.to);
        a.push("network.protocol.version", "1.1");
        a.push("http.response.status_code", self.status(r, failed));
    }

    fn rpc(&self, a: &mut Attributes, failed: bool) {
        a.push("rpc.system", "grpc");
        a.push("rpc.service", self.name.split('/').next().unwrap_or_default());
        a.push("rpc.method", self.detail);
        a.push("rpc.grpc.status_code", if failed { 14i64 } else { 0 });
        if self.way == Way::Rpc {
            a.push("server.address", format!("{}.shop.svc", self.to));
            a.push("server.port", 9000i64);
            a.push("peer.service", self.to);
        }
    }

    fn sql(&self, a: &mut Attributes, r: &mut Random) {
        let (operation, table) = self.name.split_once(' ').unwrap_or((self.name, ""));
        a.push("db.system.name", "postgresql");
        a.push("db.namespace", "shop");
        a.push("db.operation.name", operation);
        a.push("db.collection.name", table.trim_start_matches("shop."));
        a.push("db.query.text", self.detail);
        a.push("db.response.returned_rows", 1 + r.below(40) as i64);
        a.push("server.address", self.to);
        a.push("server.port", 5432i64);
    }

    fn messaging(&self, a: &mut Attributes, r: &mut Random, order: &str) {
        a.push("messaging.system", "kafka");
        a.push("messaging.destination.name", self.detail);
        a.push("messaging.operation.name", if self.way == Way::Producer { "send" } else { "process" });
        a.push("messaging.destination.partition.id", r.below(12).to_string());
        a.push("messaging.kafka.offset", 10_000_000 + r.below(50_000_000) as i64);
        a.push("messaging.message.id", order);
        if self.way == Way::Consumer {
            a.push("messaging.consumer.group.name", SERVICES.get(self.service).map_or("", |s| s.0));
        }
    }
}
