//! A client towards a server that shows a certificate for `node.internal` and wants one of its callers.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::*;

struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { params, key, pem }
    }

    /// A certificate for a name and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Serves until the test ends; each connection's outcome is told to nobody.
async fn server(authority: &Authority) -> String {
    use_ring();
    let (cert, key) = authority.issue("node.internal");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut buf = [0; 2048];
            let Ok(n) = stream.read(&mut buf).await else { continue };
            let asked = String::from_utf8_lossy(&buf[..n]).to_lowercase();
            let host = asked.lines().find_map(|l| l.strip_prefix("host: ")).unwrap_or_default().to_owned();
            let name = stream.get_ref().1.server_name().unwrap_or("").to_owned();
            let body = format!("{host} {name}");
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://127.0.0.1:{port}/metrics")
}

fn write(dir: &Path, name: &str, text: &str) -> Option<Secret> {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    Some(Secret::File(path))
}

async fn ask(tls: &Tls, url: &str) -> Result<String, String> {
    let client = Client::with(Settings { tls: tls.clone(), ..Settings::default() });
    let answer = client.send(Request::get(url)).await.map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test]
async fn certificates_names_and_versions_are_what_the_settings_say() {
    let authority = Authority::new();
    let url = server(&authority).await;
    let host = url.trim_start_matches("https://").trim_end_matches("/metrics").to_owned();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = authority.issue("client");
    let good = Tls {
        ca: Some(Secret::Inline(authority.pem.clone())),
        cert: write(dir.path(), "client.crt", &cert),
        key: write(dir.path(), "client.key", &key),
        server_name: "node.internal".to_owned(),
        ..Tls::default()
    };
    // The server is asked under its name, and told which host was meant.
    assert_eq!(ask(&good, &url).await.unwrap(), format!("{host} node.internal"));
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let tls = Tls { min_version: Some(version), max_version: Some(version), ..good.clone() };
        assert!(ask(&tls, &url).await.is_ok(), "{version:?}");
    }
    let wrong_name = Tls { server_name: "other.internal".to_owned(), ..good.clone() };
    assert!(ask(&wrong_name, &url).await.is_err());
    let no_name = Tls { server_name: String::new(), ..good.clone() };
    assert!(ask(&no_name, &url).await.is_err(), "the certificate is not for 127.0.0.1");
    let careless = Tls { insecure_skip_verify: true, ca: None, ..no_name };
    assert!(ask(&careless, &url).await.is_ok());
    let nobody = Tls { cert: None, key: None, ..good.clone() };
    assert!(ask(&nobody, &url).await.is_err(), "the server wants a certificate");
    let stranger = Tls { ca: Some(Secret::Inline(Authority::new().pem)), ..good.clone() };
    assert!(ask(&stranger, &url).await.is_err());
    let old = Tls { max_version: Some(TlsVersion::Tls11), ..good };
    assert!(ask(&old, &url).await.unwrap_err().contains("TLS 1.2"));
}

#[tokio::test]
async fn a_certificate_that_changes_on_disk_is_used_from_the_next_request_on() {
    let authority = Authority::new();
    let url = server(&authority).await;
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = Authority::new().issue("client");
    let tls = Tls {
        ca: Some(Secret::Inline(authority.pem.clone())),
        cert: write(dir.path(), "client.crt", &cert),
        key: write(dir.path(), "client.key", &key),
        server_name: "node.internal".to_owned(),
        ..Tls::default()
    };
    let client = Client::with(Settings { tls, ..Settings::default() });
    assert!(client.send(Request::get(&url)).await.is_err(), "issued by somebody else");
    let (cert, key) = authority.issue("client");
    write(dir.path(), "client.crt", &cert);
    write(dir.path(), "client.key", &key);
    assert!(client.send(Request::get(&url)).await.is_ok());
}
