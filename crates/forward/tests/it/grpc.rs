use std::{collections::VecDeque, sync::Arc};

use forward::{
    Destination, Outcome,
    destination::{BATCH_HEADER, http::HttpOptions, otlp_grpc::OtlpGrpc},
};
use model::Batch;
use parking_lot::Mutex;
use proto::otlp::collector::logs::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
    logs_service_server::{LogsService, LogsServiceServer},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::Server};

use crate::server::{delivery, logs};

#[derive(Default)]
struct Receiver {
    script: Mutex<VecDeque<Result<i64, Status>>>,
    got: Mutex<Vec<(String, ExportLogsServiceRequest)>>,
    /// What answers say that is read, and how requests were packed.
    reads: Mutex<Option<&'static str>>,
    packings: Mutex<Vec<String>>,
}

struct Service(Arc<Receiver>);

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let text = |name: &str| request.metadata().get(name).map(|v| v.to_str().unwrap().to_owned());
        let (id, packing) = (text(BATCH_HEADER).unwrap(), text("grpc-encoding").unwrap_or_default());
        self.0.packings.lock().push(packing);
        self.0.got.lock().push((id, request.into_inner()));
        let rejected_log_records = self.0.script.lock().pop_front().unwrap_or(Ok(0))?;
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message: String::new() };
        let mut answer = Response::new(ExportLogsServiceResponse { partial_success: Some(partial) });
        if let Some(reads) = &*self.0.reads.lock() {
            answer.metadata_mut().insert("grpc-accept-encoding", reads.parse().unwrap());
        }
        Ok(answer)
    }
}

/// Serves, and says where.
async fn serve(receiver: &Arc<Receiver>, packings: &[CompressionEncoding]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = LogsServiceServer::new(Service(receiver.clone()));
    let service = packings.iter().fold(service, |s, p| s.accept_compressed(*p));
    tokio::spawn(
        Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
    );
    url
}

#[tokio::test]
async fn zstd_is_sent_where_it_is_read_and_as_long_as_it_is() {
    let receiver = Arc::new(Receiver::default());
    let both = [CompressionEncoding::Gzip, CompressionEncoding::Zstd];
    let url = serve(&receiver, &both).await;
    let otlp = OtlpGrpc::new("hub", HttpOptions::new([url])).unwrap();
    let sent = delivery(logs(&["a"]));
    assert_eq!(otlp.send(0, &sent).await, Outcome::acknowledged());
    *receiver.reads.lock() = Some("identity, gzip, zstd");
    for _ in 0..2 {
        assert_eq!(otlp.send(0, &sent).await, Outcome::acknowledged());
    }
    *receiver.reads.lock() = Some("gzip");
    for _ in 0..2 {
        assert_eq!(otlp.send(0, &sent).await, Outcome::acknowledged());
    }
    assert_eq!(*receiver.packings.lock(), ["gzip", "gzip", "zstd", "zstd", "gzip"]);
}

#[tokio::test]
async fn a_receiver_that_no_longer_reads_zstd_is_sent_gzip_and_nothing_is_given_up() {
    let receiver = Arc::new(Receiver::default());
    let url = serve(&receiver, &[CompressionEncoding::Gzip]).await;
    // Says more than is true, as one of several behind an address may.
    *receiver.reads.lock() = Some("gzip,zstd");
    let otlp = OtlpGrpc::new("hub", HttpOptions::new([url])).unwrap();
    let sent = delivery(logs(&["a"]));
    assert_eq!(otlp.send(0, &sent).await, Outcome::acknowledged());
    assert!(matches!(otlp.send(0, &sent).await, Outcome::Later { down: false, .. }));
    assert_eq!(otlp.send(0, &sent).await, Outcome::acknowledged());
    assert_eq!(*receiver.packings.lock(), ["gzip", "gzip"]);
}

#[tokio::test]
async fn a_status_of_grpc_decides_and_a_partial_success_is_counted() {
    let receiver = Arc::new(Receiver::default());
    receiver.script.lock().extend([
        Err(Status::unavailable("starting")),
        Err(Status::resource_exhausted("grpc: received message larger than max (9 vs. 4)")),
        Err(Status::resource_exhausted("slow down")),
        Err(Status::invalid_argument("never")),
        Err(Status::unauthenticated("who are you")),
        Ok(2),
        Ok(0),
    ]);
    let url = serve(&receiver, &[CompressionEncoding::Gzip]).await;

    let otlp = OtlpGrpc::new("hub", HttpOptions::new([url])).unwrap();
    let sent = delivery(logs(&["a", "b", "c"]));
    assert!(matches!(otlp.send(0, &sent).await, Outcome::Later { down: true, .. }));
    assert!(matches!(otlp.send(0, &sent).await, Outcome::TooLarge { .. }));
    assert!(matches!(otlp.send(0, &sent).await, Outcome::Later { down: false, .. }));
    assert!(
        matches!(otlp.send(0, &sent).await, Outcome::Refused { reason, .. } if reason == "grpc_invalid_argument")
    );
    assert!(matches!(otlp.send(0, &sent).await, Outcome::Later { down: true, .. }));
    assert_eq!(otlp.send(0, &sent).await, Outcome::partly("partial_success", 2, ""));
    assert_eq!(otlp.send(0, &sent).await, Outcome::acknowledged());
    let got = receiver.got.lock();
    let Batch::Logs(l) = &sent.batch else { panic!() };
    let expected = wire::otlp::logs::encode(l);
    assert_eq!(got.len(), 7);
    assert!(got.iter().all(|(id, r)| id == "0000000000000007-3-9" && *r == expected));
}

#[tokio::test]
async fn nobody_there_is_down_and_settings_that_grpc_cannot_follow_are_named() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let absent = OtlpGrpc::new("hub", HttpOptions::new([closed])).unwrap();
    assert!(matches!(absent.send(0, &delivery(logs(&["a"]))).await, Outcome::Later { down: true, .. }));
    let no_ca = OtlpGrpc::new("hub", HttpOptions::new(["https://hub:4317"])).err().unwrap();
    assert!(no_ca.to_string().starts_with("tls of destination hub is"), "{no_ca}");
}
