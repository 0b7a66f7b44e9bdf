//! The arguments, as clap reads them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Records what a program says to Microsoft Graph, and answers it offline with ids that fit the run.
#[derive(Debug, Parser)]
#[command(name = "graphdeck", version, max_term_width = 110)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) places: Places,
}

#[derive(Debug, Args)]
pub(super) struct Places {
    /// The settings, such as ci/graphdeck.toml [default: ./config.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "GRAPHDECK_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Where recordings under way are kept, such as /var/tmp/deck [default: .graphdeck]
    #[arg(long, global = true, value_name = "DIR", env = "GRAPHDECK_STORE")]
    pub(super) store: Option<PathBuf>,
    /// Where cassettes are, such as tests/cassettes [default: cassettes]
    #[arg(long, global = true, value_name = "DIR", env = "GRAPHDECK_CASSETTES")]
    pub(super) cassettes: Option<PathBuf>,
    /// Say only what goes wrong; misses are in the report and the exit code
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Say more: each request, and which exchange answers it
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask Graph, and write down what it says: graphdeck record my-run -- python3 sync.py
    Record {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        recording: Recording,
        /// Continue the cassette, or its interrupted take: record my-run --append -- npm test
        #[arg(long, env = "GRAPHDECK_APPEND", value_parser = truth)]
        append: bool,
    },
    /// Answer from a cassette, without a network: graphdeck replay my-run -- python3 sync.py
    Replay {
        #[command(flatten)]
        run: Run,
        /// Make repeats beyond the tape misses, and fail when an exchange is not used: replay my-run --strict -- npm test
        #[arg(
            long,
            env = "GRAPHDECK_STRICT",
            value_parser = truth,
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
        #[command(flatten)]
        trouble: Trouble,
    },
    /// Answer from a cassette what is on it, and record what is missing: graphdeck auto my-run -- python3 sync.py
    Auto {
        #[command(flatten)]
        run: Run,
        #[command(flatten)]
        recording: Recording,
        #[command(flatten)]
        trouble: Trouble,
        /// Run though CI is set, where a run that reaches Graph is mostly a mistake
        #[arg(long, env = "GRAPHDECK_ALLOW_RECORD", value_parser = truth)]
        allow_record: bool,
    },
    /// Say what would answer a request, and why, or why nothing would: graphdeck explain my-run request.http
    Explain {
        /// The cassette, such as my-run
        name: String,
        /// A raw HTTP request, a .http file, or a miss out of a report; - for standard input
        file: PathBuf,
    },
    /// Ask Graph again what is on tape, and say where it answers otherwise today: graphdeck verify my-run --send
    Verify(Verify),
    /// List, show, compare, export, import, check and remove cassettes
    Cassette {
        #[command(subcommand)]
        command: CassetteCommand,
    },
    /// Print the root certificate that clients must trust (PEM), such as for `curl --cacert`
    Ca {
        /// Make a new one in its place, for the hosts of config.toml; it must be trusted anew: ca --renew --out graphdeck.pem
        #[arg(long)]
        renew: bool,
        /// Write it to a file instead, such as graphdeck.pem
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Make this system trust it, by the system's own tools; which commands that are is said first
        #[arg(long, conflicts_with_all = ["renew", "out"])]
        install: bool,
        /// Take it, and one that it replaced, out of the system's trust again
        #[arg(long, conflicts_with_all = ["renew", "out", "install"])]
        uninstall: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The cassette, such as my-run for cassettes/my-run.json [default: from config.toml]
    #[arg(env = "GRAPHDECK_CASSETTE")]
    pub(super) name: Option<String>,
    /// Where to listen, such as 127.0.0.1:9000 [default: 127.0.0.1:8080; with a COMMAND a free port]
    #[arg(long, value_name = "ADDR", env = "GRAPHDECK_LISTEN")]
    pub(super) listen: Option<String>,
    /// Listen on an address that other machines reach, though whoever reaches it may use the deck
    #[arg(long, env = "GRAPHDECK_ALLOW_REMOTE", value_parser = truth)]
    pub(super) allow_remote: bool,
    /// Write what happened to deck.json, deck.xml (JUnit) or deck.md
    #[arg(long, value_name = "FILE", env = "GRAPHDECK_REPORT")]
    pub(super) report: Option<PathBuf>,
    /// A program to run behind the deck, such as -- npm test; without one the deck serves until Ctrl-C
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct Trouble {
    /// Answer some requests with a fault, such as 'POST /**/userStatuses: 429 every 3' (repeatable; docs/faults.md)
    #[arg(long, value_name = "RULE", env = "GRAPHDECK_FAULT", value_delimiter = ';')]
    pub(super) fault: Vec<String>,
    /// Keep Intune's limits for writes, or others: intune, 5/2s for five writes in two seconds, or none [default: none]
    #[arg(long, value_name = "LIMITS", env = "GRAPHDECK_THROTTLE")]
    pub(super) throttle: Option<String>,
    /// How long answers from tape take: none, recorded, 100ms, or 50ms..200ms [default: none]
    #[arg(long, value_name = "TIME", env = "GRAPHDECK_LATENCY")]
    pub(super) latency: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The cassette, such as my-run
    pub(super) name: String,
    /// Send what only reads; without it nothing is sent, and what would be is listed. GRAPHDECK_TOKEN holds the token
    #[arg(long)]
    pub(super) send: bool,
    /// With --send, send also what may change something: POST, PATCH, PUT, DELETE
    #[arg(long)]
    pub(super) allow_writes: bool,
    /// A header for every request, such as 'ConsistencyLevel: eventual' (repeatable)
    #[arg(long, value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    #[command(flatten)]
    pub(super) network: Network,
    /// Print it for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// How Graph is reached.
#[derive(Debug, Args)]
pub(super) struct Network {
    /// Connect to ADDR instead of resolving HOST, such as graph.microsoft.com=127.0.0.1:9443 (repeatable)
    #[arg(long, value_name = "HOST=ADDR", env = "GRAPHDECK_CONNECT_TO", value_delimiter = ',')]
    pub(super) connect_to: Vec<String>,
    /// PEM roots to trust for the upstream besides the system's, such as corporate-ca.pem
    #[arg(long, value_name = "FILE", env = "GRAPHDECK_UPSTREAM_CA")]
    pub(super) upstream_ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Recording {
    #[command(flatten)]
    pub(super) network: Network,
    /// Leave recorded ids out, so that recording the same again gives the same file: record my-run --no-recorded-ids
    #[arg(long, env = "GRAPHDECK_NO_RECORDED_IDS", value_parser = truth)]
    pub(super) no_recorded_ids: bool,
    /// Keep how long Graph takes, for replays with --latency recorded; no two recordings are the same then
    #[arg(long, env = "GRAPHDECK_TIMINGS", value_parser = truth)]
    pub(super) timings: bool,
    /// Record every exchange with Graph, not only userStatuses POSTs: record my-run --all -- npm test
    #[arg(long, env = "GRAPHDECK_ALL", value_parser = truth)]
    pub(super) all: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CassetteCommand {
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
    /// Print a cassette or an interrupted take of it, also for other tools: graphdeck cassette export my-run --out my-run.har
    Export {
        /// The cassette, such as my-run
        name: String,
        /// An interrupted take by its number, such as 3
        #[arg(long, value_name = "NUMBER")]
        take: Option<u64>,
        /// How it is written: as it is, as HAR 1.2, or its requests for an editor [default: by the ending of --out, else graphdeck]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// The same as --format http
        #[arg(long, conflicts_with = "format")]
        http: bool,
        /// The same as --format har
        #[arg(long, conflicts_with_all = ["format", "http"])]
        har: bool,
        /// Write it to a file instead, such as my-run.json, my-run.har or my-run.http
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take over a cassette, a HAR file, or what Dev Proxy, VCR, WireMock or the Azure SDK test proxy wrote: cassette import browser.har
    Import {
        /// The file, such as ../other/run.json or browser.har; its content says what it is
        file: PathBuf,
        /// The name it gets here, such as other-run [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        /// Replace a cassette of that name: cassette import run.json --force
        #[arg(long)]
        force: bool,
    },
    /// Say what changed from one cassette to another, ids aside: graphdeck cassette diff my-run new-run
    Diff {
        /// The older one: a name, or a file that ends in .json
        one: PathBuf,
        /// The newer one, such as new-run or /tmp/my-run.json
        other: PathBuf,
        /// Compare also what rules let differ, and what differs each time, such as times and tags of versions
        #[arg(long)]
        exact: bool,
        /// Print it for programs
        #[arg(long)]
        json: bool,
    },
    /// See that cassettes can be used: all, or these, such as my-run or recorded/my-run.json
    Check {
        /// The cassettes, such as my-run, or their files, such as recorded/my-run.json
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

/// How a cassette is exported.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    Graphdeck,
    Har,
    Http,
}

/// Reads a truth from the environment: an empty variable is none.
fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "0" | "false" | "no" | "off" | "n" | "f" => Ok(false),
        "1" | "true" | "yes" | "on" | "y" | "t" => Ok(true),
        _ => Err("write true or false".to_owned()),
    }
}
