//! Connections on which a test says bytes by hand: plain ones, and inside a CONNECT over TLS.

use super::deck::Deck;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

pub trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

pub fn connect(deck: &Deck<'_>) -> TcpStream {
    let stream = TcpStream::connect(deck.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// A connection to what serves inside a CONNECT, over TLS.
pub fn inside(deck: &Deck<'_>, config: &Arc<ClientConfig>) -> impl Stream + use<> {
    let mut stream = connect(deck);
    stream.write_all(b"CONNECT graph.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\n\r\n").unwrap();
    let mut head = [0; 19];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK\r\n\r\n");
    let name = ServerName::try_from("graph.microsoft.com").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream)
}
