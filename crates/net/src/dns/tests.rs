use proptest::prelude::*;

use super::*;

/// An answer to `_metrics._tcp.example.com SRV` with one record, its target a pointer into the question.
fn srv_answer(id: u16, flags: u16) -> Vec<u8> {
    let mut m = encode(id, "_metrics._tcp.example.com", Kind::Srv).unwrap();
    m.truncate(m.len() - 11);
    m[2..4].copy_from_slice(&flags.to_be_bytes());
    m[7] = 1;
    m[11] = 0;
    // Name: pointer to the question; SRV, IN, ttl 60, 10 bytes.
    m.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10]);
    // Priority 1, weight 2, port 9100, then "h1" and a pointer to "example.com".
    m.extend_from_slice(&[0, 1, 0, 2, 0x23, 0x8c, 2, b'h', b'1']);
    m.extend_from_slice(&[0xc0, 12 + 9 + 5]);
    let length = m.len() - (m.len() - 11) - 6 + 6;
    let at = m.len() - length - 2;
    m[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    m
}

#[test]
fn a_compressed_srv_record_is_read() {
    let m = srv_answer(7, 0x8180);
    let a = decode(&m, 7, "_metrics._tcp.example.com", Kind::Srv).unwrap();
    assert_eq!(a.code, SUCCESS);
    assert_eq!(a.records, [Record::Srv { target: "h1.example.com.".into(), port: 9100 }]);
    assert!(decode(&m, 8, "_metrics._tcp.example.com", Kind::Srv).unwrap_err().is_foreign());
    assert!(decode(&m, 7, "other.example.com", Kind::Srv).unwrap_err().is_foreign());
    assert!(decode(&m[..m.len() - 4], 7, "_metrics._tcp.example.com", Kind::Srv).is_err());
}

#[test]
fn a_name_that_points_to_itself_is_refused() {
    let mut m = srv_answer(7, 0x8180);
    let n = m.len();
    m[n - 2..].copy_from_slice(&[0xc0, (n - 2) as u8]);
    let e = decode(&m, 7, "_metrics._tcp.example.com", Kind::Srv).unwrap_err();
    assert!(e.to_string().contains("points to itself"), "{e}");
}

#[test]
fn names_are_tried_along_the_search_list_by_their_dots() {
    let r = Resolver::parse(
        "# c\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a.local b.local\noptions ndots:2\n",
    );
    assert_eq!(r.servers.len(), 2);
    assert_eq!(r.candidates("x"), ["x.a.local", "x.b.local", "x"]);
    assert_eq!(r.candidates("x.y.z"), ["x.y.z", "x.y.z.a.local", "x.y.z.b.local"]);
    assert_eq!(r.candidates("x."), ["x"]);
    assert!(encode(1, "a..b", Kind::A).is_err());
    assert!(encode(1, &"a".repeat(64), Kind::A).is_err());
}

/// A server that answers one UDP question cut short, so that the client has to come again over TCP.
#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let server = tokio::spawn(async move {
        let mut buf = [0; 512];
        let (n, from) = udp.recv_from(&mut buf).await.unwrap();
        let mut cut = buf[..n].to_vec();
        cut[2] = 0x83;
        udp.send_to(&cut, from).await.unwrap();
        let (mut stream, _) = tcp.accept().await.unwrap();
        let n = stream.read_u16().await.unwrap();
        let mut query = vec![0; usize::from(n)];
        stream.read_exact(&mut query).await.unwrap();
        let answer = srv_answer(u16::from_be_bytes([query[0], query[1]]), 0x8180);
        stream.write_all(&(answer.len() as u16).to_be_bytes()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    });
    let records =
        Resolver::with_server(address).lookup("_metrics._tcp.example.com.", Kind::Srv).await.unwrap();
    assert_eq!(records, [Record::Srv { target: "h1.example.com.".into(), port: 9100 }]);
    server.await.unwrap();
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        decode_anything(&bytes);
    }

    #[test]
    fn a_damaged_answer_never_panics(at in 0usize..80, byte in any::<u8>()) {
        let mut m = srv_answer(0, 0x8180);
        let n = m.len();
        m[at % n] = byte;
        let _ = decode(&m, 0, "_metrics._tcp.example.com", Kind::Srv);
    }
}
