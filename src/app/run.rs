//! A run, recording or replaying, from the settings to the exit code.

use super::opening::{Opening, Recording, body_limit};
use super::sealing::people;
use super::{Fault, certificates, complain, say, telling};
use crate::child::{self, Ended, Trust};
use crate::config::{self, Config};
use crate::platform::{self, Signals};
use crate::proxy::front::{Front, Hosts, Limits, SignIn};
use crate::proxy::server;
use crate::session::report::{Mode, Report};
use crate::session::sessions::Sessions;
use crate::store::cassettes::{self, Cassettes};
use crate::store::journal::Journal;
use crate::tape::graph;
use crate::tape::route::Route;
use crate::wire::authority::Authority;
use crate::wire::framing::HeadLimits;
use crate::wire::reach::Reach;
use crate::wire::upstream::{self, Upstream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a run is given besides the settings.
#[derive(Debug)]
pub struct Run {
    /// What it does.
    pub mode: Mode,
    /// The cassette's name.
    pub cassette: String,
    /// The program to run, and its arguments; none to serve until a signal comes.
    pub command: Vec<OsString>,
    /// Whether every exchange with Graph is recorded.
    pub all: bool,
    /// Whether what is there already is continued.
    pub append: bool,
    /// Whether the cassette is written without the recorded ids.
    pub no_recorded_ids: bool,
    /// Whether other machines may reach it.
    pub allow_remote: bool,
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

/// Records, replays, or both.
///
/// # Errors
/// When the run cannot start.
pub async fn run(config: Config, run: Run) -> Result<u8, Fault> {
    Cassettes::new(config.cassettes.clone()).path(&run.cassette)?;
    check_report(&run)?;
    let signals = Signals::listen().map_err(Fault::System)?;
    let upstream = if run.mode.reaches_graph() { Some(Arc::new(upstream(&config)?)) } else { None };
    let authority = certificates::open(&config)?;
    let listener = listen(&config.listen, run.allow_remote).await?;
    let recording = match upstream {
        None => None,
        Some(upstream) => Some(Recording {
            journal: Arc::new(Journal::open(&config.store)?),
            upstream,
            routes: if run.all { everything() } else { config.routes.clone() },
            append: run.append,
            keep_ids: !run.no_recorded_ids,
            people: people(&config)?,
        }),
    };
    if run.mode == Mode::Record && (!config.trouble.faults.is_empty() || config.trouble.throttle.is_some()) {
        say("note: config.toml asks for faults or limits, and a recording has none: they are for replays");
    }
    if run.mode.reaches_graph() {
        say("this run reaches Microsoft Graph, and records what is said there");
    }
    let strict = config.strict && run.mode == Mode::Replay;
    let opening = Opening::new(config.clone(), run.mode, &run.cassette, recording);
    let first = opening.first().await?;
    let sessions = Sessions::start(run.mode, &run.cassette, Box::new(opening.clone()), first);
    let front = front(&config, authority, sessions);
    let ended = match serve(listener, &front, &run, signals).await {
        Ok(ended) => ended,
        Err(fault) => {
            front.sessions.all().iter().try_for_each(|(_, session)| opening.discard(session))?;
            return Err(fault);
        }
    };
    end(&front.sessions, &opening, &run, strict, ended).await
}

/// A replay that serves as long as its runtime lives.
pub(crate) struct Served {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    front: Arc<Front>,
}

impl Served {
    /// Who signs its certificates.
    pub(crate) fn authority(&self) -> &Authority {
        &self.front.authority
    }

    /// What has happened so far.
    pub(crate) fn report(&self) -> Report {
        self.front.sessions.report()
    }
}

/// Replays a cassette under a root of its own, which it keeps in `root`.
///
/// # Errors
/// When there is no such cassette, or the replay cannot start.
pub(crate) async fn serve_replay(config: Config, cassette: &str, root: &Path) -> Result<Served, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    if !cassettes.contains(cassette)? {
        return Err(cassettes::Fault::Missing { path: cassettes.path(cassette)?, others: cassettes.names()? }.into());
    }
    let authority = certificates::fresh(&config, root)?;
    let listener = listen(&config.listen, false).await?;
    let address = listener.local_addr().map_err(Fault::System)?;
    let opening = Opening::new(config.clone(), Mode::Replay, cassette, None);
    let first = opening.first().await?;
    let front = front(&config, authority, Sessions::start(Mode::Replay, cassette, Box::new(opening), first));
    tokio::spawn(server::serve(listener, Arc::clone(&front), std::future::pending()));
    Ok(Served { address, front })
}

/// Seals what was recorded, tells what happened, and settles the exit code.
async fn end(sessions: &Sessions, opening: &Opening, run: &Run, strict: bool, ended: Ended) -> Result<u8, Fault> {
    if let Ended::AtOnce(signal) = ended {
        for (_, session) in sessions.all() {
            if let Some(kept) = opening.kept(&session)? {
                say(format!("stopped at once; {kept}"));
            }
        }
        if run.mode == Mode::Replay {
            say(sessions.report().replayed());
        }
        return Ok(signal.exit_code());
    }
    // A program that a signal ended may have been in the middle of its work.
    if matches!(ended, Ended::Exited { code, .. } if code != 0) {
        opening.fail();
    }
    let mut own = 0;
    for fault in sessions.end_all().await {
        complain(fault);
        own = 2;
    }
    let report = sessions.report();
    telling::tell(&report, strict);
    own = own.max(u8::from(!report.is_clean(strict)));
    if let Err(fault) = telling::write(run.report.as_deref(), &report, strict) {
        complain(fault);
        own = 2;
    }
    // The program's own code comes first.
    Ok(match ended {
        Ended::Exited { code: code @ 1.., .. } => code,
        _ => own,
    })
}

fn front(config: &Config, authority: Authority, sessions: Arc<Sessions>) -> Arc<Front> {
    let hosts = Hosts {
        graph: config.hosts.clone(),
        sign_in: graph::SIGN_IN_HOSTS.map(str::to_owned).into(),
        reverse: config.reverse.clone(),
    };
    let (body_limit, patience, limits) = (body_limit(config), config.client_timeout, limits(&config.limits));
    let [offline, open] = config.sign_in;
    let sign_in = SignIn { offline, open };
    let started = Instant::now();
    Arc::new(Front { sessions, authority, hosts, sign_in, body_limit, patience, limits, started })
}

fn limits(config: &config::Limits) -> Limits {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        head: HeadLimits { bytes: count(config.header_bytes), headers: count(config.headers) },
        connections: count(config.connections),
        requests_per_connection: config.requests_per_connection,
        handshake_timeout: Duration::from_secs(config.handshake_timeout),
        header_timeout: Duration::from_secs(config.header_timeout),
        idle_timeout: Duration::from_secs(config.idle_timeout),
    }
}

/// The way to Graph.
pub(super) fn upstream(config: &Config) -> Result<Upstream, Fault> {
    let extra_roots = match &config.upstream_ca {
        None => Vec::new(),
        Some(path) => read_roots(path)?,
    };
    let timeout = Duration::from_secs(config.timeout);
    let known = graph::SIGN_IN_HOSTS.map(str::to_owned).into_iter().chain(config.hosts.clone());
    let known = known.chain([config.reverse.clone()]).collect();
    let reach = Reach { known, tunnels: config.tunnels.clone() };
    Ok(Upstream::new(upstream::Settings { connect_to: config.connect_to.clone(), extra_roots, timeout, reach }))
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let wrong = |why: String| Fault::Flag { flag: "--upstream-ca", why: format!("{}: {why}", path.display()) };
    let roots: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|why| wrong(why.to_string()))?.collect();
    let roots = roots.map_err(|why| wrong(why.to_string()))?;
    if roots.is_empty() { Err(wrong("there is no PEM certificate in it".to_owned())) } else { Ok(roots) }
}

fn everything() -> Vec<Route> {
    vec![Route::parse("* /**").expect("this is a route")]
}

async fn listen(address: &str, allow_remote: bool) -> Result<TcpListener, Fault> {
    let listener = TcpListener::bind(address).await;
    let fault = |source| Fault::Listen { address: address.to_owned(), source };
    let listener = listener.map_err(fault)?;
    if !listener.local_addr().map_err(fault)?.ip().is_loopback() {
        if !allow_remote {
            let why = format!(
                "{address} can be reached from other machines, and whoever reaches it may use the deck: give --allow-remote if that is meant"
            );
            return Err(Fault::Flag { flag: "--listen", why });
        }
        say(format!("warning: {address} can be reached from other machines, and whoever reaches it may use the deck"));
    }
    Ok(listener)
}

/// Serves the command, or until a signal comes, and lets the exchanges under way finish.
async fn serve(listener: TcpListener, front: &Arc<Front>, run: &Run, mut signals: Signals) -> Result<Ended, Fault> {
    let address = listener.local_addr().map_err(Fault::System)?;
    let child = match run.command.as_slice() {
        [] => {
            // A program inherits the limits of the deck, and some do badly with others than they know.
            platform::raise_open_files();
            None
        }
        command => {
            let trust = Trust::write(&front.authority)?;
            let variables = child::environment(reachable(address), &front.authority, &trust);
            Some((child::start(command, &variables)?, trust))
        }
    };
    say(format!("{} on http://{address}", run.mode.doing(&run.cassette)));
    if child.is_none() {
        let certificate = front.authority.public_file().display();
        let address = reachable(address);
        say(format!("give programs HTTPS_PROXY=http://{address} and the certificate {certificate}; Ctrl-C ends this"));
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server::serve(listener, Arc::clone(front), async {
        // A sender that is dropped means the same.
        let _ = stopped.await;
    }));
    let ended = match child {
        Some((child, trust)) => {
            let ended = child::wait(child, &mut signals).await;
            drop(trust);
            ended
        }
        None => {
            signals.next().await;
            Ended::Exited { code: 0, asked: true }
        }
    };
    drop(stop);
    Ok(match ended {
        Ended::Exited { asked, .. } => drain(server, signals, asked).await.unwrap_or(ended),
        Ended::AtOnce(_) => ended,
    })
}

/// Waits for the exchanges under way. The first signal of a run only asks for the end, and here it has come already;
/// the second, which `asked` says this one is, stops at once.
async fn drain(mut server: JoinHandle<()>, mut signals: Signals, mut asked: bool) -> Option<Ended> {
    loop {
        tokio::select! {
            // The server's task does not panic, and is not cancelled.
            _ = &mut server => return None,
            signal = signals.next() => {
                if asked {
                    return Some(Ended::AtOnce(signal));
                }
                asked = true;
            }
        }
    }
}

/// The address by which a program on this machine reaches the deck.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    address
}

/// Sees before a run that its report can be written after it.
fn check_report(run: &Run) -> Result<(), Fault> {
    let Some(path) = &run.report else { return Ok(()) };
    telling::Form::of(path)?;
    let dir = platform::parent(path);
    tempfile::tempfile_in(dir).map(drop).map_err(|source| Fault::File { path: path.clone(), what: "written", source })
}
