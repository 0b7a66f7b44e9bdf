//! The command line: what is asked, with which settings, and the exit code.

use crate::app::{self, Fault, library, run};
use crate::config::{self, Config};
use crate::platform;
use crate::store::engine;
use crate::wire::authority::{self, Authority};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::fmt::FormatFields;

/// Records what a program says to Microsoft Graph, and answers it offline with ids that fit the run.
#[derive(Debug, Parser)]
#[command(name = "graphdeck", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Args)]
struct Places {
    /// The settings, such as ci/graphdeck.toml [default: ./config.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "GRAPHDECK_CONFIG")]
    config: Option<PathBuf>,
    /// Where recordings under way are kept, such as /var/tmp/deck [default: .graphdeck]
    #[arg(long, global = true, value_name = "DIR", env = "GRAPHDECK_STORE")]
    store: Option<PathBuf>,
    /// Where cassettes are, such as tests/cassettes [default: cassettes]
    #[arg(long, global = true, value_name = "DIR", env = "GRAPHDECK_CASSETTES")]
    cassettes: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask Graph, and write down what it says: graphdeck record my-run -- python3 sync.py
    Record {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        upstream: Upstream,
    },
    /// Answer from a cassette, without a network: graphdeck replay my-run -- python3 sync.py
    Replay {
        #[command(flatten)]
        run: Run,
        /// Make repeats beyond the tape misses, and fail when an exchange is not used: replay my-run --strict -- npm test
        #[arg(
            long,
            env = "GRAPHDECK_STRICT",
            value_parser = FalseyValueParser::new(),
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "true",
            value_name = "true|false"
        )]
        strict: Option<bool>,
        /// How ids that Graph made up are chosen: derive, recorded or random, such as --ids random [default: derive]
        #[arg(long, value_name = "POLICY", env = "GRAPHDECK_IDS")]
        ids: Option<String>,
        /// What derived ids are computed from, such as --seed nightly; another seed gives other ids
        #[arg(long, value_name = "TEXT", env = "GRAPHDECK_SEED")]
        seed: Option<String>,
    },
    /// List, show, export, import, check and remove cassettes
    Cassette {
        #[command(subcommand)]
        command: CassetteCommand,
    },
    /// Print the root certificate that clients must trust (PEM), such as for `curl --cacert`
    Ca {
        /// Write it to a file instead, such as graphdeck.pem
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// The cassette, such as my-run for cassettes/my-run.json [default: from config.toml]
    #[arg(env = "GRAPHDECK_CASSETTE")]
    name: Option<String>,
    /// Where to listen, such as 127.0.0.1:9000 [default: 127.0.0.1:8080; with a COMMAND a free port]
    #[arg(long, value_name = "ADDR", env = "GRAPHDECK_LISTEN")]
    listen: Option<String>,
    /// Write what happened as JSON, such as to deck-report.json
    #[arg(long, value_name = "FILE", env = "GRAPHDECK_REPORT")]
    report: Option<PathBuf>,
    /// A program to run behind the deck, such as -- npm test; without one the deck serves until Ctrl-C
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Args)]
struct Upstream {
    /// Connect to ADDR instead of resolving HOST, such as graph.microsoft.com=127.0.0.1:9443 (repeatable)
    #[arg(long, value_name = "HOST=ADDR", env = "GRAPHDECK_CONNECT_TO", value_delimiter = ',')]
    connect_to: Vec<String>,
    /// PEM roots to trust for the upstream besides the system's, such as corporate-ca.pem
    #[arg(long, value_name = "FILE", env = "GRAPHDECK_UPSTREAM_CA")]
    upstream_ca: Option<PathBuf>,
    /// Continue the cassette, or its interrupted take: record my-run --append -- npm test
    #[arg(long, env = "GRAPHDECK_APPEND", value_parser = FalseyValueParser::new())]
    append: bool,
    /// Leave recorded ids out, so that recording the same again gives the same file: record my-run --no-recorded-ids
    #[arg(long, env = "GRAPHDECK_NO_RECORDED_IDS", value_parser = FalseyValueParser::new())]
    no_recorded_ids: bool,
    /// Record every exchange with Graph, not only userStatuses POSTs: record my-run --all -- npm test
    #[arg(long, env = "GRAPHDECK_ALL", value_parser = FalseyValueParser::new())]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum CassetteCommand {
    /// List cassettes and interrupted takes
    Ls,
    /// Show the exchanges of a cassette, or its ids: graphdeck cassette show my-run --ids
    Show {
        /// The cassette, such as my-run
        name: String,
        /// List each id, who made it, where it was first seen and how often it stands there: show my-run --ids
        #[arg(long)]
        ids: bool,
    },
    /// Print a cassette, or an interrupted take of it: graphdeck cassette export my-run --out my-run.json
    Export {
        /// The cassette, such as my-run
        name: String,
        /// An interrupted take by its number, such as 3
        #[arg(long, value_name = "NUMBER")]
        take: Option<u64>,
        /// Write it to a file instead, such as my-run.json
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take a cassette file over: graphdeck cassette import ../other/run.json --name other-run
    Import {
        /// The file, such as ../other/run.json
        file: PathBuf,
        /// The name it gets here, such as other-run [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        /// Replace a cassette of that name: cassette import run.json --force
        #[arg(long)]
        force: bool,
    },
    /// See that cassettes can be used: all, or these files, such as cassettes/my-run.json
    Check {
        /// The files, such as cassettes/my-run.json
        files: Vec<PathBuf>,
    },
    /// Remove a cassette and its interrupted takes, or one of these: graphdeck cassette rm my-run --take 3
    Rm {
        /// The cassette, such as my-run
        name: String,
        /// Only this interrupted take, such as 3
        #[arg(long, value_name = "NUMBER")]
        take: Option<u64>,
    },
}

/// Does what the command line asks.
#[must_use]
pub fn main() -> ExitCode {
    engine::hush_caught_panics();
    start_log();
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            app::say(&fault);
            ExitCode::from(fault.exit_code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8, Fault> {
    let mut config = Config::load(cli.places.config.as_deref())?;
    let Places { store, cassettes, .. } = cli.places;
    config.store = store.unwrap_or(config.store);
    config.cassettes = cassettes.unwrap_or(config.cassettes);
    match cli.command {
        Command::Record { run, upstream } => {
            for entry in &upstream.connect_to {
                let (host, address) =
                    config::parse_connect_to(entry).map_err(flag("--connect-to or GRAPHDECK_CONNECT_TO"))?;
                config.connect_to.insert(host, address);
            }
            config.upstream_ca = upstream.upstream_ca.or(config.upstream_ca);
            let run = run.settle(&mut config)?;
            block_on(run::record(
                config,
                run::Run {
                    all: upstream.all,
                    append: upstream.append,
                    no_recorded_ids: upstream.no_recorded_ids,
                    ..run
                },
            ))
        }
        Command::Replay { run, strict, ids, seed } => {
            if let Some(ids) = ids {
                config.ids = config::parse_policy(&ids).map_err(flag("--ids or GRAPHDECK_IDS"))?;
            }
            config.seed = seed.unwrap_or(config.seed);
            config.strict = strict.unwrap_or(config.strict);
            let run = run.settle(&mut config)?;
            block_on(run::replay(config, run))
        }
        Command::Cassette { command } => cassette(&config, command),
        Command::Ca { out } => {
            let authority = Authority::open(&authority::default_dir()?)?;
            put(out, &authority.root_pem()).map(|()| 0)
        }
    }
}

impl Run {
    /// The run that is meant: flags and environment over the settings.
    fn settle(self, config: &mut Config) -> Result<run::Run, Fault> {
        if let Some(listen) = self.listen {
            config::check_address(&listen).map_err(flag("--listen or GRAPHDECK_LISTEN"))?;
            config.listen = listen;
        } else if !self.command.is_empty() {
            "127.0.0.1:0".clone_into(&mut config.listen);
        }
        let cassette = self.name.unwrap_or_else(|| config.cassette.clone());
        Ok(run::Run { cassette, command: self.command, report: self.report, ..run::Run::default() })
    }
}

fn cassette(config: &Config, command: CassetteCommand) -> Result<u8, Fault> {
    match command {
        CassetteCommand::Ls => put(None, &library::list(config)?)?,
        CassetteCommand::Show { name, ids: false } => put(None, &library::show(config, &name)?)?,
        CassetteCommand::Show { name, ids: true } => put(None, &library::show_ids(config, &name)?)?,
        CassetteCommand::Export { name, take, out } => put(out, &library::export(config, &name, take)?)?,
        CassetteCommand::Import { file, name, force } => {
            let path = library::import(config, &file, name, force)?;
            put(None, &format!("imported {} as {}\n", file.display(), path.display()))?;
        }
        CassetteCommand::Check { files } => {
            let (text, good) = library::check(config, &files)?;
            put(None, &text)?;
            return Ok(if good { 0 } else { 2 });
        }
        CassetteCommand::Rm { name, take } => put(None, &library::remove(config, &name, take)?)?,
    }
    Ok(0)
}

fn flag(flag: &'static str) -> impl Fn(String) -> Fault {
    move |why| Fault::Flag { flag, why }
}

/// Writes to a file, or to standard output; a reader that leaves early, such as `head`, is no fault.
fn put(out: Option<PathBuf>, text: &str) -> Result<(), Fault> {
    let (path, outcome) = match out {
        Some(path) => {
            let written = platform::replace_file(&path, |file| file.write_all(text.as_bytes()));
            (path, written)
        }
        None => ("standard output".into(), std::io::stdout().lock().write_all(text.as_bytes())),
    };
    match outcome {
        Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::File { path, what: "written", source: fault })
        }
        _ => Ok(()),
    }
}

fn block_on(run: impl Future<Output = Result<u8, Fault>>) -> Result<u8, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Fault::System)?;
    let outcome = runtime.block_on(run);
    // What is still open now was given its time; nothing acknowledged depends on it.
    runtime.shutdown_background();
    outcome
}

/// Log lines go to standard error, in the words of the deck; `GRAPHDECK_LOG` says how many (`debug`, `off`, …).
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GRAPHDECK_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("graphdeck=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).event_format(Plain).init();
}

/// A log line as any other line of the deck.
struct Plain;

impl<S, N> tracing_subscriber::fmt::FormatEvent<S, N> for Plain
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    N: for<'a> tracing_subscriber::fmt::FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &tracing_subscriber::fmt::FmtContext<'_, S, N>,
        mut writer: tracing_subscriber::fmt::format::Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        writer.write_str("graphdeck: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
