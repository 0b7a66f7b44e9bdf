//! The two runs: a recording and a replay, from the settings to the exit code.

use super::sealing::{discard, kept, load, resume, seal_take};
use super::{Fault, say};
use crate::child::{self, Ended, Trust};
use crate::config::Config;
use crate::platform::{self, Signal, Signals};
use crate::proxy::front::{Front, Hosts};
use crate::proxy::server;
use crate::session::Session;
use crate::session::record::{self, Recorder};
use crate::session::replay::Player;
use crate::session::tally::{Mode, Report, Tally};
use crate::store::cassettes::{self, Cassettes};
use crate::store::journal::Journal;
use crate::store::takes::Takes;
use crate::tape::graph;
use crate::tape::index::Index;
use crate::tape::mint::Mint;
use crate::tape::playing::Manner;
use crate::tape::route::Route;
use crate::tape::speaking::Policy;
use crate::wire::authority::{self, Authority};
use crate::wire::upstream::{self, Upstream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Arrivals are numbered from the time at which a run began, so that a continued take goes on after its last one.
const ARRIVAL_BITS: u32 = 20;

/// What a run is given besides the settings.
#[derive(Debug, Default)]
pub struct Run {
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
    /// Where the report goes.
    pub report: Option<PathBuf>,
}

/// Records a cassette.
///
/// # Errors
/// When the recording cannot start, or cannot be sealed.
pub async fn record(config: Config, run: Run) -> Result<u8, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    cassettes.path(&run.cassette)?;
    check_report(&run)?;
    let signals = Signals::listen().map_err(Fault::System)?;
    let upstream = upstream(&config)?;
    let routes = if run.all { everything() } else { config.routes.clone() };
    let authority = Authority::open(&authority::default_dir()?)?;
    let listener = listen(&config.listen).await?;
    let journal = Arc::new(Journal::open(&config.store)?);
    let started = now();
    let take = match run.append {
        true => resume(&*journal, &cassettes, &run.cassette, started.as_secs()).await?,
        false => journal.begin(&run.cassette, started.as_secs())?,
    };
    let first_arrival = u64::try_from(started.as_millis()).unwrap_or(0) << ARRIVAL_BITS;
    let body_limit = config.body_limit;
    let settings = record::Settings { upstream, store: journal.clone(), take, first_arrival, routes, body_limit };
    let tally = Tally::new(Mode::Record, &run.cassette, 0);
    let front = front(&config, authority, Session::Record(Box::new(Recorder::new(settings, tally))));
    let ended = match serve(listener, &front, "recording", &run, signals).await {
        Ok(ended) => ended,
        Err(fault) => {
            discard(&*journal, take)?;
            return Err(fault);
        }
    };
    journal.close(take)?;
    if let Ended::AtOnce(signal) = ended {
        say(format!("stopped at once; {}", kept(&*journal, take, &run.cassette)?));
        return Ok(signal.exit_code());
    }
    // A program that a signal ended may have been in the middle of its work.
    let failed = matches!(ended, Ended::Exited { code, .. } if code != 0) || !front.session.tally().is_clean(false);
    seal_take(&*journal, take, &cassettes, &run.cassette, failed, !run.no_recorded_ids, &config.rules)?;
    finish(&front, &run, false, ended)
}

/// Replays a cassette.
///
/// # Errors
/// When the replay cannot start.
pub async fn replay(config: Config, run: Run) -> Result<u8, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let path = cassettes.path(&run.cassette)?;
    check_report(&run)?;
    let signals = Signals::listen().map_err(Fault::System)?;
    let cassette = load(&cassettes, &config.store, &run.cassette, &config.rules)?;
    // The text decides, not the file's bytes: a checkout may have changed its line ends.
    let digest = *blake3::hash(cassette.print().as_bytes()).as_bytes();
    let tally = Tally::new(Mode::Replay, &run.cassette, cassette.entries.len());
    let seed = match config.ids {
        Policy::Random => uuid::Uuid::new_v4().to_string(),
        Policy::Derive | Policy::Recorded => config.seed.clone(),
    };
    let index = Index::new(cassette, config.rules.clone(), Mint::new(&seed, &digest))
        .map_err(|source| cassettes::Fault::Damaged { path, source })?;
    let manner = Manner { policy: config.ids, strict: config.strict };
    let authority = Authority::open(&authority::default_dir()?)?;
    let listener = listen(&config.listen).await?;
    let front = front(&config, authority, Session::Replay(Box::new(Player::new(index, manner, tally))));
    let ended = serve(listener, &front, "replaying", &run, signals).await?;
    say(front.session.tally().report().replayed());
    if let Ended::AtOnce(signal) = ended {
        return Ok(signal.exit_code());
    }
    finish(&front, &run, config.strict, ended)
}

fn front(config: &Config, authority: Authority, session: Session) -> Arc<Front> {
    let hosts = Hosts {
        graph: config.hosts.clone(),
        sign_in: graph::SIGN_IN_HOSTS.map(str::to_owned).into(),
        reverse: config.reverse.clone(),
    };
    Arc::new(Front { session, authority, hosts, body_limit: config.body_limit })
}

fn upstream(config: &Config) -> Result<Upstream, Fault> {
    let extra_roots = match &config.upstream_ca {
        None => Vec::new(),
        Some(path) => read_roots(path)?,
    };
    let timeout = Duration::from_secs(config.timeout);
    Ok(Upstream::new(upstream::Settings { connect_to: config.connect_to.clone(), extra_roots, timeout }))
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

async fn listen(address: &str) -> Result<TcpListener, Fault> {
    let listener = TcpListener::bind(address).await;
    let fault = |source| Fault::Listen { address: address.to_owned(), source };
    let listener = listener.map_err(fault)?;
    if !listener.local_addr().map_err(fault)?.ip().is_loopback() {
        say(format!("warning: {address} can be reached from other machines, and whoever reaches it may use the deck"));
    }
    Ok(listener)
}

/// Serves the command, or until a signal comes, and lets the exchanges under way finish.
async fn serve(
    listener: TcpListener,
    front: &Arc<Front>,
    doing: &str,
    run: &Run,
    mut signals: Signals,
) -> Result<Ended, Fault> {
    let address = listener.local_addr().map_err(Fault::System)?;
    let child = match run.command.as_slice() {
        [] => None,
        command => {
            let trust = Trust::write(&front.authority)?;
            let variables = child::environment(reachable(address), &front.authority, &trust);
            Some((child::start(command, &variables)?, trust))
        }
    };
    say(format!("{doing} {} on http://{address}", run.cassette));
    if child.is_none() {
        let certificate = front.authority.public_file().display();
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

/// Says what is to be said, writes the report, and settles the exit code.
fn finish(front: &Front, run: &Run, strict: bool, ended: Ended) -> Result<u8, Fault> {
    let tally = front.session.tally();
    let mut report = tally.report();
    if let Session::Replay(player) = &front.session {
        report.name_unused(player.unused());
    }
    report.asides(strict).iter().for_each(say);
    let own = u8::from(!tally.is_clean(strict));
    let own = match write_report(run, &report) {
        Ok(()) => own,
        Err(fault) => {
            say(fault);
            2
        }
    };
    Ok(match ended {
        // The program's own code comes first.
        Ended::Exited { code: 0, .. } => own,
        Ended::Exited { code, .. } => code,
        Ended::AtOnce(signal) => Signal::exit_code(signal),
    })
}

/// Sees before a run that its report can be written after it.
fn check_report(run: &Run) -> Result<(), Fault> {
    let Some(path) = &run.report else { return Ok(()) };
    let dir = platform::parent(path);
    tempfile::tempfile_in(dir).map(drop).map_err(|source| Fault::File { path: path.clone(), what: "written", source })
}

fn write_report(run: &Run, report: &Report) -> Result<(), Fault> {
    let Some(path) = &run.report else { return Ok(()) };
    platform::replace_file(path, |file| file.write_all(report.to_json().as_bytes())).map_err(|source| Fault::File {
        path: path.clone(),
        what: "written",
        source,
    })
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
