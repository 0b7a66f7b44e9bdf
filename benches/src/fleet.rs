//! The servers of a comparison: each is started once, when it is first needed, and ended with the fleet.

use crate::Fault;
use crate::h1::Connection;
use crate::load::Via;
use crate::process::Server;
use crate::tape;
use crate::workload::{Post, Series};
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Fleet {
    /// The deck's program.
    deck: PathBuf,
    /// Where all files go that are made.
    dir: PathBuf,
    running: HashMap<String, Server>,
}

impl Fleet {
    pub(crate) fn new(deck: &Path, dir: &Path) -> Result<Self, Fault> {
        fs::create_dir_all(dir.join("tapes"))?;
        Ok(Self { deck: deck.canonicalize()?, dir: dir.canonicalize()?, running: HashMap::new() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The deck's program with a home of its own, so that nothing of the user's is touched.
    pub(crate) fn deck(&self) -> Command {
        let mut command = Command::new(&self.deck);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRAPHDECK_")) {
            command.env_remove(name);
        }
        command.env("XDG_DATA_HOME", self.path("home")).env("XDG_CACHE_HOME", self.path("home"));
        command.env_remove("CI").current_dir(&self.dir).args(["--cassettes", "tapes", "--store", "store"]);
        command
    }

    pub(crate) fn tape(&self, users: u64) -> Result<PathBuf, Fault> {
        let path = self.path("tapes").join(format!("u{users}.json"));
        if !path.exists() {
            eprintln!("writing a cassette of {users} exchanges");
            tape::write(users, &path)?;
        }
        Ok(path)
    }

    pub(crate) fn replay(&mut self, users: u64) -> Result<&Server, Fault> {
        self.tape(users)?;
        let mut command = self.deck();
        command.args(["replay", &format!("u{users}"), "--listen", "127.0.0.1:0"]);
        self.start(&format!("replay {users}"), command)
    }

    /// A deck that records into an empty store.
    pub(crate) fn record(&mut self, name: &str) -> Result<&Server, Fault> {
        let upstream = self.upstream()?;
        let _ = fs::remove_dir_all(self.path("store"));
        let mut command = self.deck();
        command.args(["record", name, "--listen", "127.0.0.1:0"]);
        command.args(["--connect-to", &format!("{}={upstream}", crate::workload::HOST)]);
        command.arg("--upstream-ca").arg(self.path("upstream.pem"));
        self.running.remove("record");
        self.start("record", command)
    }

    pub(crate) fn end(&mut self, name: &str) -> Option<Server> {
        self.running.remove(name)
    }

    /// A limit that answers with the bytes that the deck answers with.
    pub(crate) fn limit(&mut self, via: Via, http2: bool) -> Result<&Server, Fault> {
        let answer = self.path("answer.http");
        if !self.running.keys().any(|name| name.starts_with("limit")) {
            fs::write(&answer, answer_of(self.replay(1)?.address)?)?;
        }
        let kind = match via {
            Via::Plain => "plain",
            Via::Tls => "tls",
            Via::Connect => "connect",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["limit", kind, "--answer"]).arg(answer);
        if http2 {
            command.arg("--http2");
        }
        self.start(&format!("limit {kind} {http2}"), command)
    }

    /// A limit that looks one of so many answers up.
    pub(crate) fn searching_limit(&mut self, users: u64) -> Result<&Server, Fault> {
        self.limit(Via::Plain, false)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["limit", "plain", "--answer"]).arg(self.path("answer.http"));
        command.args(["--users", &users.to_string(), "--dir"]).arg(&self.dir);
        self.start(&format!("limit of {users}"), command)
    }

    /// What stands in for Graph when something records.
    fn upstream(&mut self) -> Result<SocketAddr, Fault> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["limit", "upstream", "--certificate"]).arg(self.path("upstream.pem"));
        Ok(self.start("upstream", command)?.address)
    }

    pub(crate) fn proxy(&mut self) -> Result<&Server, Fault> {
        let upstream = self.upstream()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["limit", "proxy", "--upstream", &upstream.to_string(), "--certificate"]);
        command.arg(self.path("upstream.pem"));
        self.start("proxy", command)
    }

    pub(crate) fn start(&mut self, name: &str, mut command: Command) -> Result<&Server, Fault> {
        if !self.running.contains_key(name) {
            let server = Server::start(&mut command).map_err(|fault| format!("{name}: {fault}"))?;
            self.running.insert(name.to_owned(), server);
        }
        Ok(&self.running[name])
    }

    /// Forgets what earlier replays have made ready.
    pub(crate) fn forget_indexes(&self) {
        let _ = fs::remove_dir_all(self.path("store").join("index"));
    }

    /// How long it takes from the start of a replay to the end of its first answer.
    pub(crate) fn first_answer(&self, users: u64) -> Result<Duration, Fault> {
        self.tape(users)?;
        let mut command = self.deck();
        command.args(["replay", &format!("u{users}"), "--listen", "127.0.0.1:0"]);
        let began = Instant::now();
        let server = Server::start(&mut command)?;
        answer_of(server.address)?;
        Ok(began.elapsed())
    }
}

/// The answer to the first user's POST, as it is on the wire.
fn answer_of(address: SocketAddr) -> Result<Vec<u8>, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (configuration, user) = Series { users: 1, renamed: true, client: 0, sent: 0 }.next();
        let mut post = Post::new();
        post.set(&configuration, user);
        let mut connection = Connection::open(address, Via::Plain).await?;
        let answer = connection.exchange(&post.bytes).await?;
        if answer.status != 201 {
            return Err(format!("the first answer is no 201: {}", String::from_utf8_lossy(answer.body)).into());
        }
        Ok([answer.head, answer.body].concat())
    })
}
