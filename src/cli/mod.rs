//! The command line: what is asked, with which settings, and the exit code.

mod arguments;

use crate::app::{self, Fault, certificates, diffing, explain, library, run, verifying};
use crate::config::{self, Config};
use crate::platform;
use crate::session::report::Mode;
use crate::store::engine;
use crate::tape::latency::Latency;
use crate::tape::throttle::Throttle;
use arguments::{CassetteCommand, Cli, Command, Format, Places};
use clap::Parser;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Does what the command line asks.
#[must_use]
pub fn main() -> ExitCode {
    platform::keep_memory_private();
    engine::hush_caught_panics();
    let cli = Cli::parse();
    start_log(cli.places.quiet, cli.places.verbose);
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            app::complain(&fault);
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
        Command::Record { run, recording, append } => record(config, run, recording, Mode::Record, append),
        Command::Auto { run, recording, trouble, allow_record } => {
            refuse_in_ci(allow_record)?;
            trouble.settle(&mut config)?;
            record(config, run, recording, Mode::Auto, true)
        }
        Command::Replay { run, strict, ids, seed, trouble } => {
            trouble.settle(&mut config)?;
            if let Some(ids) = ids {
                config.ids = config::parse_policy(&ids).map_err(flag("--ids or GRAPHDECK_IDS"))?;
            }
            config.seed = seed.unwrap_or(config.seed);
            config.strict = strict.unwrap_or(config.strict);
            let run = run.settle(&mut config, Mode::Replay)?;
            block_on(run::run(config, run))
        }
        Command::Explain { name, file } => {
            let (text, answered) = explain::explain(&config, &name, &file)?;
            put(None, &text)?;
            Ok(u8::from(!answered))
        }
        Command::Verify(wish) => verify(config, wish),
        Command::Cassette { command } => cassette(&config, command),
        Command::Ca { install: true, .. } => certificates::install(&config).map(|()| 0),
        Command::Ca { uninstall: true, .. } => certificates::uninstall().map(|()| 0),
        Command::Ca { out, renew, .. } => {
            let authority = if renew { certificates::renew(&config)? } else { certificates::open(&config)? };
            put(out, &authority.root_pem()).map(|()| 0)
        }
    }
}

fn record(
    mut config: Config,
    run: arguments::Run,
    recording: arguments::Recording,
    mode: Mode,
    append: bool,
) -> Result<u8, Fault> {
    let arguments::Recording { network, all, no_recorded_ids, timings } = recording;
    network.settle(&mut config)?;
    config.timings |= timings;
    let run = run.settle(&mut config, mode)?;
    block_on(run::run(config, run::Run { all, append, no_recorded_ids, ..run }))
}

fn verify(mut config: Config, wish: arguments::Verify) -> Result<u8, Fault> {
    let arguments::Verify { name, send, allow_writes, header, network, json } = wish;
    network.settle(&mut config)?;
    let wish = verifying::Wish { send, writes: allow_writes, headers: header, json };
    block_on(async {
        let (text, code) = verifying::verify(&config, &name, &wish).await?;
        put(None, &text).map(|()| code)
    })
}

/// A run in CI that would reach Graph is mostly a mistake: what is missing should fail there.
fn refuse_in_ci(allowed: bool) -> Result<(), Fault> {
    let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    if !in_ci || allowed {
        return Ok(());
    }
    let why = "CI is set, and `auto` reaches Graph for what is missing: use `graphdeck replay` here, or allow it \
               with --allow-record";
    Err(Fault::Flag { flag: "auto", why: why.to_owned() })
}

impl From<Format> for library::Export {
    fn from(format: Format) -> Self {
        match format {
            Format::Graphdeck => Self::Cassette,
            Format::Har => Self::Har,
            Format::Http => Self::Http,
        }
    }
}

impl arguments::Network {
    /// Flags and environment over the settings.
    fn settle(self, config: &mut Config) -> Result<(), Fault> {
        for entry in &self.connect_to {
            let parsed = config::parse_connect_to(entry).map_err(flag("--connect-to or GRAPHDECK_CONNECT_TO"));
            let (host, address) = parsed?;
            config.connect_to.insert(host, address);
        }
        config.upstream_ca = self.upstream_ca.or(config.upstream_ca.take());
        Ok(())
    }
}

impl arguments::Trouble {
    /// Puts the trouble that is asked for over the settings; the rules for faults come before those of config.toml.
    fn settle(self, config: &mut Config) -> Result<(), Fault> {
        let mut faults = config::parse_faults(&self.fault).map_err(flag("--fault or GRAPHDECK_FAULT"))?;
        faults.append(&mut config.trouble.faults);
        config.trouble.faults = faults;
        if let Some(throttle) = self.throttle {
            config.trouble.throttle = Throttle::parse(&throttle).map_err(flag("--throttle or GRAPHDECK_THROTTLE"))?;
        }
        if let Some(latency) = self.latency {
            config.trouble.latency = Latency::parse(&latency).map_err(flag("--latency or GRAPHDECK_LATENCY"))?;
        }
        Ok(())
    }
}

impl arguments::Run {
    /// The run that is meant: flags and environment over the settings.
    fn settle(self, config: &mut Config, mode: Mode) -> Result<run::Run, Fault> {
        if let Some(listen) = self.listen {
            config::check_address(&listen).map_err(flag("--listen or GRAPHDECK_LISTEN"))?;
            config.listen = listen;
        } else if !self.command.is_empty() {
            "127.0.0.1:0".clone_into(&mut config.listen);
        }
        Ok(run::Run {
            mode,
            cassette: self.name.unwrap_or_else(|| config.cassette.clone()),
            command: self.command,
            report: self.report,
            all: false,
            append: false,
            allow_remote: self.allow_remote,
            no_recorded_ids: false,
        })
    }
}

fn cassette(config: &Config, command: CassetteCommand) -> Result<u8, Fault> {
    match command {
        CassetteCommand::Ls => put(None, &library::list(config)?)?,
        CassetteCommand::Show { name, ids: false } => put(None, &library::show(config, &name)?)?,
        CassetteCommand::Show { name, ids: true } => put(None, &library::show_ids(config, &name)?)?,
        CassetteCommand::Export { name, take, format, http, har, out } => {
            let ending = out.as_deref().and_then(Path::extension).and_then(OsStr::to_str);
            let format = match (format, ending) {
                (Some(format), _) => format,
                (None, _) if http => Format::Http,
                (None, _) if har => Format::Har,
                (None, Some("har")) => Format::Har,
                (None, Some("http" | "rest")) => Format::Http,
                (None, _) => Format::Graphdeck,
            };
            put(out, &library::export(config, &name, take, format.into())?)?;
        }
        CassetteCommand::Import { file, name, force } => put(None, &library::import(config, &file, name, force)?)?,
        CassetteCommand::Diff { one, other, exact, json } => {
            let (text, same) = diffing::diff(config, [&one, &other], exact, json)?;
            put(None, &text)?;
            return Ok(u8::from(!same));
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

/// Log lines go to standard error, in the words of the deck; `GRAPHDECK_LOG` says how many (`debug`, `off`, …), or else
/// the flags do.
fn start_log(quiet: bool, verbose: bool) {
    if quiet {
        app::be_quiet();
    }
    let by_flags = match (quiet, verbose) {
        (true, _) => Targets::new(),
        (_, false) => Targets::new().with_target("graphdeck", LevelFilter::WARN),
        (_, true) => Targets::new().with_target("graphdeck", LevelFilter::DEBUG),
    };
    let asked = std::env::var("GRAPHDECK_LOG").ok().and_then(|asked| asked.parse().ok());
    let wanted = asked.unwrap_or(by_flags);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).event_format(Plain);
    tracing_subscriber::registry().with(wanted).with(lines).init();
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
        // Libraries know nothing of secrets: some write whole headers at their lowest level.
        if !event.metadata().target().starts_with("graphdeck") {
            return Ok(());
        }
        writer.write_str("graphdeck: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
