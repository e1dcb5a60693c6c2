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
}

struct Service(Arc<Receiver>);

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let id = request.metadata().get(BATCH_HEADER).unwrap().to_str().unwrap().to_owned();
        self.0.got.lock().push((id, request.into_inner()));
        let rejected_log_records = self.0.script.lock().pop_front().unwrap_or(Ok(0))?;
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message: String::new() };
        Ok(Response::new(ExportLogsServiceResponse { partial_success: Some(partial) }))
    }
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
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service =
        LogsServiceServer::new(Service(receiver.clone())).accept_compressed(CompressionEncoding::Gzip);
    tokio::spawn(
        Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
    );

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
