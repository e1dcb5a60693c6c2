//! Telemetry taken from Kafka and Redpanda: records go through admission like requests, and their offsets are committed
//! once they are durable.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base::{Clock, Metrics, Shutdown};
use bus::{Arrival, Encoding, Intake, ReceiveOptions, Stats, Verdict};
use ingest::{Cause, Ingest, Otlp, OtlpFormat, OtlpSignal, OtlpTransport, Sender};
use model::Signal;
use tokio::{sync::Mutex, task::JoinHandle};

/// How long one that ends may take to commit what is durable; a node stops in ten seconds, whatever brokers do.
const GRACE: Duration = Duration::from_secs(3);

/// What takes records, as the configuration has it.
pub struct Receiving {
    door: Arc<Door>,
    stats: Stats,
    clock: Clock,
    shutdown: Shutdown,
    running: Mutex<Vec<Running>>,
}

struct Running {
    options: ReceiveOptions,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Receiving {
    pub fn new(ingest: Arc<Ingest>, metrics: &Metrics, clock: Clock, shutdown: Shutdown) -> Self {
        let (door, stats) = (Arc::new(Door { ingest }), Stats::new(metrics));
        Receiving { door, stats, clock, shutdown, running: Mutex::default() }
    }

    /// Takes from these and from no others. What goes on is left alone.
    pub async fn set(&self, wanted: &[ReceiveOptions]) {
        let mut running = self.running.lock().await;
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *running).into_iter().partition(|r| wanted.contains(&r.options));
        *running = stay;
        go.iter().for_each(|r| r.shutdown.start());
        for mut r in go {
            if tokio::time::timeout(GRACE, &mut r.task).await.is_err() {
                // Committed or not, its records are known when they come again.
                r.task.abort();
                tracing::warn!(group = r.options.group, "receiving from kafka did not end in time");
            }
        }
        for options in wanted {
            if !running.iter().any(|r| r.options == *options) {
                running.push(self.start(options.clone()));
            }
        }
    }

    fn start(&self, options: ReceiveOptions) -> Running {
        let topics: Vec<&str> = options.topics.iter().map(|t| t.topic.as_str()).collect();
        tracing::info!(group = options.group, brokers = ?options.connection.brokers, ?topics, "receiving from kafka");
        let shutdown = self.shutdown.child();
        let door: Arc<dyn Intake> = self.door.clone();
        let (of, stats, clock, until) =
            (options.clone(), self.stats.clone(), self.clock.clone(), shutdown.clone());
        let task = tokio::spawn(async move {
            if let Err(e) = bus::receive(of, door, stats, clock, until).await {
                tracing::error!(error = %e, "nothing is received from kafka");
            }
        });
        Running { options, shutdown, task }
    }

    /// Ends all of it, before what makes records durable ends.
    pub async fn close(&self) {
        self.set(&[]).await;
    }
}

/// Admission, as what takes records sees it.
struct Door {
    ingest: Arc<Ingest>,
}

#[async_trait]
impl Intake for Door {
    async fn take(&self, arrival: Arrival) -> Verdict {
        let Some(signal) = signal(&arrival.signal) else {
            return Verdict::Malformed(format!("OTLP has no signal {}", arrival.signal));
        };
        let format = match arrival.encoding {
            Encoding::Protobuf => OtlpFormat::Protobuf,
            Encoding::Json => OtlpFormat::Json,
        };
        let what = Otlp { transport: OtlpTransport::Kafka, signal, format };
        let sender = Sender { addr: format!("kafka {}", arrival.topic), ..Sender::default() };
        let taken =
            self.ingest.otlp_record(&arrival.tenant, &sender, what, arrival.id, arrival.payload).await;
        match taken {
            Ok(receipt) => Verdict::Taken {
                duplicate: receipt.duplicate,
                accepted: receipt.accepted_items(),
                refused: receipt.refused_items(),
            },
            Err(e) if is_final(e.cause) => Verdict::Malformed(e.to_string()),
            Err(e) => Verdict::Later(e.to_string()),
        }
    }
}

fn signal(s: &Signal) -> Option<OtlpSignal> {
    match s.as_str() {
        "metrics" => Some(OtlpSignal::Metrics),
        "logs" => Some(OtlpSignal::Logs),
        "traces" => Some(OtlpSignal::Traces),
        _ => None,
    }
}

/// Whether the record itself is at fault. Whatever the store answers may be otherwise tomorrow.
fn is_final(cause: Cause) -> bool {
    match cause {
        Cause::TooLarge | Cause::UnsupportedMedia | Cause::Malformed | Cause::Incomplete => true,
        Cause::Overloaded | Cause::Append => false,
    }
}
