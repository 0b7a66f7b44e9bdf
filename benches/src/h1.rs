//! The lightest client there can be: HTTP/1.1 by hand, one buffer, one write and mostly one read per exchange.

use crate::Fault;
use crate::load::Via;
use crate::tls;
use crate::workload::HOST;
use memchr::memmem;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection on which nothing has been said yet.
pub(crate) async fn open(address: SocketAddr, via: Via, http2: bool) -> Result<Pin<Box<dyn Stream>>, Fault> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    if via == Via::Plain {
        return Ok(Box::pin(stream));
    }
    if via == Via::Connect {
        let asked = format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n");
        stream.write_all(asked.as_bytes()).await?;
        let mut told = Vec::new();
        while !told.ends_with(b"\r\n\r\n") {
            told.push(stream.read_u8().await?);
        }
        if !told.starts_with(b"HTTP/1.1 200") {
            return Err(format!("CONNECT got {}", String::from_utf8_lossy(&told)).into());
        }
    }
    let connector = tokio_rustls::TlsConnector::from(tls::driver(http2)?);
    Ok(Box::pin(connector.connect(HOST.try_into()?, stream).await?))
}

pub(crate) struct Connection {
    stream: Pin<Box<dyn Stream>>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) closes: bool,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, via: Via) -> Result<Self, Fault> {
        Ok(Self { stream: open(address, via, false).await?, buffer: vec![0; 64 * 1024] })
    }

    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Fault> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut filled = 0;
        let (head, length) = loop {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err("the server closed in the middle of an answer".into());
            }
            filled += count;
            if let Some(at) = memmem::find(&self.buffer[..filled], b"\r\n\r\n") {
                break (at + 4, length(&self.buffer[..at + 4])?);
            }
        };
        if head + length > self.buffer.len() {
            return Err("the answer is larger than any that is expected".into());
        }
        while filled < head + length {
            let count = self.stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err("the server closed in the middle of a body".into());
            }
            filled += count;
        }
        let (head, body) = (&self.buffer[..head], &self.buffer[head..head + length]);
        let status = std::str::from_utf8(&head[9..12])?.parse()?;
        let closes =
            [&b"\r\nconnection: close"[..], b"\r\nConnection: close"].iter().any(|it| memmem::find(head, it).is_some());
        Ok(Answer { status, closes, head, body })
    }
}

/// The length of the body that follows a head.
fn length(head: &[u8]) -> Result<usize, Fault> {
    let name = b"content-length:";
    let at = memmem::find(head, name).or_else(|| memmem::find(&head.to_ascii_lowercase(), name));
    let at = at.ok_or_else(|| format!("no Content-Length in {}", String::from_utf8_lossy(head)))?;
    let digits = head[at + name.len()..].trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    Ok(std::str::from_utf8(&digits[..end])?.parse()?)
}
