//! HTTP/2 by hyper's client: several exchanges at once on one connection.

use crate::Fault;
use crate::h1;
use crate::load::Via;
use crate::workload::{HOST, PATH, body};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;

#[derive(Clone, Debug)]
pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr, via: Via) -> Result<Self, Fault> {
        let stream = h1::open(address, via, true).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Whether another one must be opened, as the server has ended this one.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    pub(crate) async fn exchange(&mut self, configuration: &[u8; 36], user: u64) -> Result<(u16, Bytes), Fault> {
        let configuration = std::str::from_utf8(configuration)?;
        let request = http::Request::post(format!("https://{HOST}{PATH}{configuration}/userStatuses"))
            .header("accept", "*/*")
            .header("authorization", "Bearer no-token")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body(user))))?;
        self.0.ready().await?;
        let (head, body) = self.0.send_request(request).await?.into_parts();
        Ok((head.status.as_u16(), body.collect().await?.to_bytes()))
    }
}
