//! A stand-in for Microsoft Graph: real TLS on a loopback port, HTTP/1.1 and HTTP/2, answers as Graph writes them.

use super::entities::Entities;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use serde_json::Value;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as the stand-in got it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub host: String,
    pub target: String,
    pub version: http::Version,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer of the stand-in.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// After how many bytes of the body something happens to it.
    pub fate: Option<(usize, Fate)>,
}

/// What happens to a body on its way.
pub enum Fate {
    /// The connection breaks.
    Cut,
    /// The rest waits until it is let go.
    Held(tokio::sync::oneshot::Receiver<()>),
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), fate: None }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.fate = Some((bytes, Fate::Cut));
        self
    }

    pub fn held_after(mut self, bytes: usize, until: tokio::sync::oneshot::Receiver<()>) -> Self {
        self.fate = Some((bytes, Fate::Held(until)));
        self
    }

    /// A JSON answer with the headers that Graph adds, those that differ each time included.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string())
            .with("content-type", "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8")
            .signed()
    }

    /// Adds the headers that Graph adds to every answer.
    pub fn signed(self) -> Self {
        self.with("cache-control", "no-cache")
            .with("odata-version", "4.0")
            .with("strict-transport-security", "max-age=31536000")
            .with("vary", "Accept-Encoding")
            .with("request-id", &fresh_guid())
            .with("client-request-id", &fresh_guid())
            .with("date", "Mon, 23 Nov 2026 10:00:00 GMT")
            .with("x-ms-ags-diagnostic", r#"{"ServerInfo":{"DataCenter":"Southeast Asia"}}"#)
    }
}

fn fresh_guid() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hash = blake3::hash(&now.as_nanos().to_le_bytes());
    uuid::Uuid::from_slice(&hash.as_bytes()[..16]).unwrap().to_string()
}

type Handler = dyn Fn(&Asked) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync;

/// The stand-in. It ends when it is dropped.
pub struct Graph {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    came: Arc<tokio::sync::Notify>,
    connections: Arc<Mutex<usize>>,
    dir: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Graph {
    /// A Graph that keeps entities: POST, GET, LIST, PATCH and DELETE in any collection.
    pub async fn start() -> Self {
        let entities = Mutex::new(Entities::default());
        Self::answering(move |asked| entities.lock().unwrap().answer(asked)).await
    }

    /// A Graph that answers as told.
    pub async fn answering(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::answering_later(move |asked| Box::pin(std::future::ready(answer(asked)))).await
    }

    /// A Graph that answers as told, in its own time.
    pub async fn answering_later(
        answer: impl Fn(&Asked) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync + 'static,
    ) -> Self {
        Self::with_protocols(answer, &[b"h2", b"http/1.1"]).await
    }

    /// A Graph that speaks these protocols only.
    pub async fn with_protocols(
        answer: impl Fn(&Asked) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync + 'static,
        protocols: &[&[u8]],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(certificate(dir.path(), protocols)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let came = Arc::new(tokio::sync::Notify::new());
        let notify = Arc::clone(&came);
        let answer: Arc<Handler> = Arc::new(move |asked| {
            notify.notify_one();
            answer(asked)
        });
        let (log, count) = (Arc::clone(&asked), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                open.spawn(serve(acceptor.clone(), stream, Arc::clone(&answer), Arc::clone(&log)));
            }
        });
        Self { address, asked, came, connections, dir, task }
    }

    /// The root that its certificate verifies under.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Waits until so many requests have come.
    pub async fn wait_for(&self, requests: usize) {
        while self.asked.lock().unwrap().len() < requests {
            self.came.notified().await;
        }
    }

    /// Everything that was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

fn certificate(dir: &Path, protocols: &[&[u8]]) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    // Where root and leaf had the same name, OpenSSL would take the leaf for signed by itself.
    root.distinguished_name.push(rcgen::DnType::CommonName, "root of the stand-in");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root_pem = root.self_signed(&key).unwrap().pem();
    std::fs::write(dir.join("ca.pem"), root_pem).unwrap();
    let issuer = Issuer::new(root, key);
    let leaf_key = KeyPair::generate().unwrap();
    let hosts = ["graph.microsoft.com", "graph.microsoft.us", "login.microsoftonline.com", "localhost"];
    let leaf = CertificateParams::new(hosts.map(str::to_owned)).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()),
        )
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: tokio::net::TcpStream,
    answer: Arc<Handler>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
        async move { Ok::<_, Infallible>(respond(request, &answer, &log).await) }
    });
    let io = TokioIo::new(stream);
    // A client that breaks off is no matter of the stand-in's.
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        hyper::server::conn::http1::Builder::new().auto_date_header(false).serve_connection(io, service).await
    };
}

type ReplyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

async fn respond(request: Request<Incoming>, answer: &Arc<Handler>, log: &Mutex<Vec<Asked>>) -> Response<ReplyBody> {
    let (head, body) = request.into_parts();
    let host = head.uri.authority().map(ToString::to_string);
    let host = host.or_else(|| head.headers.get("host").map(|host| host.to_str().unwrap().to_owned()));
    let asked = Asked {
        method: head.method.to_string(),
        host: host.unwrap_or_default(),
        target: head.uri.path_and_query().unwrap().to_string(),
        version: head.version,
        headers: head.headers,
        body: body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
    };
    log.lock().unwrap().push(asked.clone());
    let reply = answer(&asked).await;
    let body = match reply.fate {
        None => Full::new(reply.body).map_err(|never| match never {}).boxed_unsync(),
        Some((bytes, fate)) => {
            let rest = reply.body.slice(bytes..);
            Fated { first: Some(reply.body.slice(..bytes)), rest: Some(rest), fate }.boxed_unsync()
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        let name: http::HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

/// A body to which something happens on its way.
struct Fated {
    first: Option<Bytes>,
    rest: Option<Bytes>,
    fate: Fate,
}

impl hyper::body::Body for Fated {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Fate::Held(until) = &mut self.fate {
            std::task::ready!(Pin::new(until).poll(cx)).unwrap();
            self.fate = Fate::Cut;
            return Poll::Ready(self.rest.take().map(|rest| Ok(Frame::data(rest))));
        }
        let cut = self.rest.is_some();
        Poll::Ready(cut.then(|| Err(std::io::Error::other("cut"))))
    }
}
