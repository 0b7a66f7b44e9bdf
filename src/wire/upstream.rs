//! The way to the real Graph: connections kept and reused, through the user's own proxy where there is one.

use super::message::Body;
use super::reach::{self, PublicResolver, Reach};
use super::{root, tls};
use http::Uri;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tower_service::Service;

/// Any error on the way to a connection.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How to reach hosts.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses, as `host:port`, that take the place of resolving a host.
    pub connect_to: HashMap<String, String>,
    /// Roots that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How long an answer may take to begin.
    pub timeout: Duration,
    /// Which hosts may be reached.
    pub reach: Reach,
}

/// Why a host did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is not asked.
    #[error(transparent)]
    Refused(#[from] reach::Refusal),
    /// No connection to it could be made.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// Its certificate is not trusted.
    #[error("{host} shows a certificate that is not trusted here: {why}")]
    Untrusted {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
    /// It did not answer in time.
    #[error("{host} did not begin to answer within {seconds} s")]
    Silent {
        /// The host.
        host: String,
        /// The limit.
        seconds: u64,
    },
    /// It began to answer, and then said nothing more in time.
    #[error("{host} stopped in the middle of its answer for {seconds} s")]
    Stalled {
        /// The host.
        host: String,
        /// The limit.
        seconds: u64,
    },
    /// The connection failed before the answer was whole.
    #[error("{host} broke the exchange off: {why}")]
    Broken {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
}

/// A client to the network. Only what records holds one.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client<HttpsConnector<Dialer>, Body>,
    dialer: Dialer,
    timeout: Duration,
}

impl Upstream {
    /// A client with these settings. `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of this process are honoured.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let roots = tls::system_roots().into_iter().chain(settings.extra_roots);
        let dialer = Dialer::new(settings.connect_to, settings.reach);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(roots))
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(dialer.clone());
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .build(connector);
        Self { client, dialer, timeout: settings.timeout }
    }

    /// Sends a request, whose URI must be absolute, and waits for the head of the answer.
    ///
    /// # Errors
    /// When the host cannot be reached or trusted, is silent, or breaks off.
    pub async fn send(&self, mut request: http::Request<Body>) -> Result<http::Response<Incoming>, Fault> {
        // The version that is spoken upstream is settled by ALPN there.
        *request.version_mut() = http::Version::HTTP_11;
        let authority = request.uri().authority().cloned();
        let host = || authority.map(|authority| authority.to_string()).unwrap_or_default();
        match tokio::time::timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(fault)) => Err(classify(host(), &fault)),
            Err(_) => Err(Fault::Silent { host: host(), seconds: self.timeout.as_secs() }),
        }
    }

    /// How long a host may take to begin its answer, and for the next part of it.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Opens a connection to `authority`, a host and port, without TLS: for tunnels that are not opened.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn tunnel(&self, authority: &str) -> Result<TcpStream, Fault> {
        let unreachable = |why: String| Fault::Unreachable { host: authority.to_owned(), why };
        let uri: Uri = format!("https://{authority}").parse().map_err(|why| unreachable(format!("{why}")))?;
        match tokio::time::timeout(CONNECT_TIMEOUT, self.dialer.clone().dial(uri)).await {
            Ok(Ok(connection)) => Ok(connection.into_inner()),
            Ok(Err(fault)) => match cause::<reach::Refusal>(fault.as_ref()) {
                Some(refusal) => Err(refusal.clone().into()),
                None => Err(unreachable(told(fault.as_ref()))),
            },
            Err(_) => Err(Fault::Silent { host: authority.to_owned(), seconds: CONNECT_TIMEOUT.as_secs() }),
        }
    }
}

/// What an error of a body on its way from `host` means.
#[must_use]
pub fn broken(host: &str, fault: &hyper::Error) -> Fault {
    Fault::Broken { host: host.to_owned(), why: told(fault) }
}

fn classify(host: String, fault: &Error) -> Fault {
    if let Some(rustls::Error::InvalidCertificate(why)) = cause(fault) {
        return Fault::Untrusted { host, why: distrust(why) };
    }
    if let Some(refusal) = cause::<reach::Refusal>(fault) {
        return refusal.clone().into();
    }
    let why = fault.source().map_or_else(|| fault.to_string(), told);
    if fault.is_connect() { Fault::Unreachable { host, why } } else { Fault::Broken { host, why } }
}

/// Why a certificate is not trusted, and what can be done where something can.
fn distrust(fault: &CertificateError) -> String {
    let on = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).map_or_else(|_| "a day beyond count".to_owned(), root::day)
    };
    match fault {
        CertificateError::ExpiredContext { not_after, .. } => format!("it expired on {}", on(not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is valid from {} only; is this machine's clock right?", on(not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it is for no host".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // They come as `DnsName("a")`.
            let bare = |name: &String| {
                name.split_once('(').map_or(&**name, |(_, name)| name.trim_matches(['"', ')'])).to_owned()
            };
            format!("it is for {}", presented.iter().map(bare).collect::<Vec<_>>().join(", "))
        }
        CertificateError::UnknownIssuer => {
            "nobody known here signed it; if it is right, name its root with --upstream-ca FILE".to_owned()
        }
        CertificateError::InvalidPurposeContext { .. } => "it is not for servers".to_owned(),
        other => other.to_string(),
    }
}

/// The error of a kind among the causes of an error; I/O errors do not show what they hold as their cause.
fn cause<'a, E: std::error::Error + 'static>(fault: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    if let Some(found) = fault.downcast_ref::<E>() {
        return Some(found);
    }
    let held = fault.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match held {
        Some(held) => cause(held),
        None => cause(fault.source()?),
    }
}

/// An error with its causes, each said once.
fn told(fault: &(dyn std::error::Error + 'static)) -> String {
    // Rustls adds where its manual is, which is for programmers.
    let plain = |text: String| text.split(": https://").next().unwrap_or_default().to_owned();
    let mut parts = vec![plain(fault.to_string())];
    let mut cause = fault.source();
    while let Some(inner) = cause {
        let part = plain(inner.to_string());
        if !parts.iter().any(|said| said.contains(&part)) {
            parts.push(part);
        }
        cause = inner.source();
    }
    parts.join(": ")
}

/// Opens TCP connections: to where a host was said to be, through the user's proxy, or straight.
#[derive(Clone, Debug)]
struct Dialer {
    tcp: HttpConnector,
    public: HttpConnector<PublicResolver>,
    reach: Arc<Reach>,
    connect_to: Arc<HashMap<String, String>>,
    proxies: Arc<Matcher>,
}

impl Dialer {
    fn new(connect_to: HashMap<String, String>, reach: Reach) -> Self {
        Self {
            tcp: set_up(HttpConnector::new()),
            public: set_up(HttpConnector::new_with_resolver(PublicResolver)),
            reach: Arc::new(reach),
            connect_to: Arc::new(connect_to),
            proxies: Arc::new(Matcher::from_env()),
        }
    }

    async fn dial(mut self, to: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let host = to.host().unwrap_or_default().to_ascii_lowercase();
        if let Some(address) = self.connect_to.get(&host) {
            let address: Uri = format!("http://{address}").parse()?;
            return Ok(self.tcp.call(address).await?);
        }
        let secure = to.scheme_str() == Some("https");
        let trusted = self.reach.check(&to)?;
        match self.proxies.intercept(&to).filter(|_| secure) {
            None if trusted => Ok(self.tcp.call(to).await?),
            None => Ok(self.public.call(to).await?),
            Some(proxy) if proxy.uri().scheme_str() != Some("http") => Err(format!(
                "the proxy {} is not reached over plain HTTP, which is all that is supported",
                bare(proxy.uri())
            )
            .into()),
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                let refused = |why| format!("through the proxy {}: {why}", bare(proxy.uri()));
                tunnel.call(with_port(to)?).await.map_err(|fault| refused(told(&fault)).into())
            }
        }
    }
}

fn set_up<R>(mut tcp: HttpConnector<R>) -> HttpConnector<R> {
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp
}

/// A proxy's address without the credentials that it may hold.
fn bare(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

/// The address with its port, which a CONNECT must name.
fn with_port(uri: Uri) -> Result<Uri, BoxError> {
    if uri.port().is_some() {
        return Ok(uri);
    }
    Ok(format!("https://{}:443", uri.host().unwrap_or_default()).parse()?)
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::<Uri>::poll_ready(&mut self.tcp, cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().dial(to))
    }
}
