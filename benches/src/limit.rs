//! The limits: the least that a server on hyper can do, and the least that a reverse proxy on hyper can do.

use crate::answers::Answers;
use crate::arguments::Arguments;
use crate::workload::{RECORDED_STATUS, guid};
use crate::{Fault, tls};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Answer = Response<Either<Full<Bytes>, Incoming>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Tls,
    Connect,
    Upstream,
    Proxy,
}

struct Limit {
    kind: Kind,
    http2: bool,
    acceptor: Option<TlsAcceptor>,
    headers: HeaderMap,
    body: Bytes,
    /// Where it does not give the same answer to all.
    answers: Option<Answers>,
    served: AtomicU64,
    onward: Option<Onward>,
}

struct Onward {
    client: Client<hyper_rustls::HttpsConnector<HttpConnector>, Incoming>,
    upstream: SocketAddr,
}

pub(crate) fn command(arguments: &Arguments) -> Result<(), Fault> {
    let kind = match arguments.plain.first().map(String::as_str) {
        Some("plain") => Kind::Plain,
        Some("tls") => Kind::Tls,
        Some("connect") => Kind::Connect,
        Some("upstream") => Kind::Upstream,
        Some("proxy") => Kind::Proxy,
        _ => return Err("which one: plain, tls, connect, upstream or proxy?".into()),
    };
    tokio::runtime::Runtime::new()?.block_on(serve(kind, arguments))
}

async fn serve(kind: Kind, arguments: &Arguments) -> Result<(), Fault> {
    let http2 = arguments.has("http2");
    let acceptor = match kind {
        Kind::Plain | Kind::Proxy => None,
        _ => {
            let protocols: &[&[u8]] = if http2 { &[b"h2"] } else { &[b"http/1.1"] };
            Some(TlsAcceptor::from(tls::server(arguments.text("certificate"), protocols)?))
        }
    };
    let answer = arguments.text("answer").map(std::fs::read).transpose()?;
    let (headers, body) = parse(answer.as_deref().unwrap_or(b"\r\n\r\n"))?;
    let onward = if kind == Kind::Proxy { Some(onward(arguments)?) } else { None };
    let users = arguments.has("users").then(|| arguments.needed("users")).transpose()?;
    let dir = Path::new(arguments.text("dir").unwrap_or("."));
    let answers = users.map(|users| Answers::of(users, dir)).transpose()?;
    let limit = Arc::new(Limit { kind, http2, acceptor, headers, body, answers, served: AtomicU64::new(0), onward });
    let listener = TcpListener::bind(arguments.text("listen").unwrap_or("127.0.0.1:0")).await?;
    eprintln!("limit {kind:?} on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that leaves is no concern of the others.
        tokio::spawn(connection(Arc::clone(&limit), stream));
    }
}

fn onward(arguments: &Arguments) -> Result<Onward, Fault> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let tls = tls::proxy(arguments.text("certificate").ok_or("--certificate is missing")?)?;
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .wrap_connector(connector);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    Ok(Onward { client, upstream: arguments.needed("upstream")? })
}

/// The headers and the body of an answer as it was on the wire.
fn parse(answer: &[u8]) -> Result<(HeaderMap, Bytes), Fault> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("the answer has no end of its head")?;
    let mut headers = HeaderMap::new();
    for line in std::str::from_utf8(&answer[..end])?.lines().skip(1) {
        let (name, value) = line.split_once(": ").ok_or("a header has no colon")?;
        let name: HeaderName = name.parse()?;
        if name != CONTENT_LENGTH {
            headers.append(name, HeaderValue::from_str(value)?);
        }
    }
    Ok((headers, Bytes::copy_from_slice(&answer[end + 4..])))
}

async fn connection(limit: Arc<Limit>, stream: TcpStream) -> Result<(), Fault> {
    match (limit.kind, &limit.acceptor) {
        (Kind::Tls | Kind::Upstream, Some(acceptor)) => {
            let stream = acceptor.accept(stream).await?;
            speak(limit, stream).await
        }
        (Kind::Connect, _) => {
            let service = service_fn(|request| {
                let limit = Arc::clone(&limit);
                async move { Ok::<_, std::convert::Infallible>(opened(limit, request)) }
            });
            let builder = http1_builder();
            Ok(builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
        }
        _ => speak(limit, stream).await,
    }
}

/// The answer to a CONNECT, after which TLS is spoken.
fn opened(limit: Arc<Limit>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.method() != Method::CONNECT {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    }
    tokio::spawn(async move {
        let stream = TokioIo::new(hyper::upgrade::on(request).await?);
        let acceptor = limit.acceptor.clone().ok_or("there is no certificate")?;
        speak(limit, acceptor.accept(stream).await?).await
    });
    response
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // As the deck does, which gives the same bytes at any time.
    builder.auto_date_header(false);
    builder
}

async fn speak<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(limit: Arc<Limit>, stream: S) -> Result<(), Fault> {
    let http2 = limit.http2;
    let service = service_fn(move |request| {
        let limit = Arc::clone(&limit);
        async move { limit.answer(request).await.map_err(std::io::Error::other) }
    });
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.auto_date_header(false);
        return Ok(builder.serve_connection(TokioIo::new(stream), service).await?);
    }
    Ok(http1_builder().serve_connection(TokioIo::new(stream), service).await?)
}

impl Limit {
    async fn answer(&self, mut request: Request<Incoming>) -> Result<Answer, Fault> {
        if let Some(onward) = &self.onward {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = Uri::try_from(format!("https://localhost:{}{path}", onward.upstream.port()))?;
            request.headers_mut().remove(HOST);
            return Ok(onward.client.request(request).await?.map(Either::Right));
        }
        let asked = request.into_body().collect().await?;
        let (headers, body) = match (self.kind, &self.answers) {
            (Kind::Upstream, _) => self.fresh()?,
            (_, Some(answers)) => (self.headers.clone(), answers.find(&asked.to_bytes())?),
            _ => (self.headers.clone(), self.body.clone()),
        };
        let mut response = Response::new(Either::Left(Full::new(body)));
        *response.status_mut() = StatusCode::CREATED;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// An answer as Graph gives them, with an id of its own.
    fn fresh(&self) -> Result<(HeaderMap, Bytes), Fault> {
        let id = guid(RECORDED_STATUS, self.served.fetch_add(1, Ordering::Relaxed));
        let id = std::str::from_utf8(&id)?;
        let body = crate::workload::body(0).replacen(",", &format!(",\"id\":\"{id}\","), 1);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json;odata.metadata=minimal"));
        headers.insert("request-id", HeaderValue::from_str(id)?);
        headers.insert("odata-version", HeaderValue::from_static("4.0"));
        Ok((headers, Bytes::from(body)))
    }
}
