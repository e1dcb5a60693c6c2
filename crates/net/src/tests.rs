use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

mod tls;

/// Answers each request with the next text (status line, headers and body) and returns what was asked.
async fn server(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            loop {
                let mut buf = [0; 2048];
                let n = stream.read(&mut buf).await.unwrap();
                seen.extend_from_slice(&buf[..n]);
                let text = String::from_utf8_lossy(&seen).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .to_lowercase()
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length: ").and_then(|v| v.parse::<usize>().ok()));
                if body.len() >= length.unwrap_or(0) {
                    requests.push(text);
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, served)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

#[test]
fn no_secret_reaches_a_message() {
    assert_eq!(shown("http://user:pass@host:1/p?token=x"), "http://host:1/p");
    let auth = Auth::Basic { username: Secret::Inline("u".into()), password: Secret::Inline("p1".into()) };
    assert!(!format!("{auth:?}").contains("p1"));
}

#[tokio::test]
async fn a_closed_port_is_named() {
    let e = Client::default().send(Request::get("http://127.0.0.1:1/metrics")).await.unwrap_err();
    assert!(e.to_string().contains("127.0.0.1:1"), "{e}");
    assert_eq!(e.kind(), base::Kind::Unavailable);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_sent_as_bearer() {
    let token = answer("200 OK", "", "{\"access_token\":\"abc\",\"expires_in\":\"3600\"}");
    let (token_url, tokens) = server(vec![answer("401 Unauthorized", "", ""), token]).await;
    let (url, served) = server(vec![answer("200 OK", "", "a"), answer("200 OK", "", "b")]).await;
    let grant = OAuth2 {
        client_id: "me".into(),
        client_secret: Secret::Inline("s3cret".into()),
        token_url,
        scopes: vec!["r".into(), "w".into()],
        endpoint_params: [("audience".to_owned(), "x y".to_owned())].into(),
        tls: Tls::default(),
        proxy: Proxy::None,
    };
    let client = Client::with(Settings { auth: Auth::OAuth2(Box::new(grant)), ..Settings::default() });
    for _ in 0..2 {
        assert!(client.send(Request::get(&url)).await.unwrap().status.is_success());
    }
    let asked = tokens.await.unwrap();
    assert!(asked[0].to_lowercase().contains("authorization: basic"), "{}", asked[0]);
    assert!(asked[1].contains("client_id=me&client_secret=s3cret"), "{}", asked[1]);
    assert!(asked[1].contains("scope=r+w&audience=x+y"), "{}", asked[1]);
    let served = served.await.unwrap();
    assert!(served.iter().all(|r| r.to_lowercase().contains("authorization: bearer abc")), "{served:?}");
}

#[tokio::test]
async fn headers_of_the_settings_are_sent_and_redirects_followed_only_when_asked() {
    let to = answer("302 Found", "Location: /there\r\n", "");
    let (url, served) = server(vec![to.clone(), answer("200 OK", "", "x"), to]).await;
    let headers = vec![("X-Scope".to_owned(), vec![Secret::Inline("a".into()), Secret::Inline("b".into())])];
    let client = Client::with(Settings { headers, ..Settings::default() });
    assert_eq!(client.send(Request::get(&url)).await.unwrap().body, "x");
    let stay = Client::with(Settings { follow_redirects: false, ..Settings::default() });
    assert_eq!(stay.send(Request::get(&url)).await.unwrap().status, 302);
    let served = served.await.unwrap();
    assert!(served[0].contains("x-scope: a") && served[0].contains("x-scope: b"), "{}", served[0]);
    assert!(served[1].starts_with("GET /there"), "{}", served[1]);
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url_unless_the_host_is_left_out() {
    let (proxy, served) = server(vec![answer("200 OK", "", "via")]).await;
    let through = |no_proxy: &str| {
        let proxy =
            Proxy::Url { url: proxy.clone(), no_proxy: no_proxy.to_owned(), connect_headers: Vec::new() };
        Client::with(Settings { proxy, ..Settings::default() })
    };
    let answer = through("").send(Request::get("http://target.invalid:9100/metrics")).await.unwrap();
    assert_eq!(answer.body, "via");
    assert!(served.await.unwrap()[0].starts_with("GET http://target.invalid:9100/metrics"));
    let e = through("127.0.0.0/8").send(Request::get("http://127.0.0.1:1/")).await.unwrap_err();
    assert!(e.to_string().contains("127.0.0.1:1"), "{e}");
}

#[tokio::test]
async fn an_answer_past_its_limit_is_refused() {
    let (url, _served) = server(vec![answer("200 OK", "", &"x".repeat(100))]).await;
    let request = Request { max_answer_bytes: 99, ..Request::get(&url) };
    assert_eq!(Client::default().send(request).await.unwrap_err().kind(), base::Kind::Limited);
}

#[tokio::test]
async fn an_answer_can_be_read_as_it_comes_in() {
    let (url, _served) = server(vec![answer("200 OK", "X-Kind: a\r\n", &"x".repeat(100_000))]).await;
    let mut incoming = Client::default().open(Request::get(&url)).await.unwrap();
    assert_eq!((incoming.status.as_u16(), incoming.header("x-kind")), (200, "a"));
    let mut read = 0;
    while let Some(piece) = incoming.next().await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, 100_000);
    let (url, _served) = server(vec![answer("200 OK", "", &"x".repeat(100))]).await;
    let request = Request { max_answer_bytes: 99, ..Request::get(&url) };
    assert!(Client::default().open(request).await.unwrap().whole().await.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let ca = Some(Secret::File("/nowhere/ca.pem".into()));
    let client = Client::with(Settings { tls: Tls { ca, ..Tls::default() }, ..Settings::default() });
    let e = client.send(Request::get("https://127.0.0.1:1/")).await.unwrap_err();
    assert!(e.to_string().contains("/nowhere/ca.pem"), "{e}");
    assert_eq!(e.kind(), base::Kind::Invalid);
}
