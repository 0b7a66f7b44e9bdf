//! A deck as its users start it: the program itself, in a folder of its own.

use super::graph::Graph;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take before a test gives up: far more than it does take, also beside much other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// The folder of a project that uses the deck, and its user's home.
pub struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn cassette(&self, name: &str) -> String {
        fs::read_to_string(self.file(&format!("cassettes/{name}.json"))).unwrap()
    }

    pub fn cassette_json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.cassette(name)).unwrap()
    }

    /// The program with these arguments, in the project's folder, with as little of this machine around it as can be.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graphdeck"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path()).env("XDG_DATA_HOME", self.file("data"));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.end(self.command(arguments))
    }

    /// Runs a command to its end.
    pub fn end(&self, mut command: Command) -> Ended {
        Ended::of(command.stdin(Stdio::null()).output().unwrap(), self)
    }

    /// Records a program behind the deck, against a stand-in.
    pub fn record_command(&self, name: &str, graph: &Graph, options: &[&str], program: &[&str]) -> Ended {
        let upstream = upstream(graph);
        let upstream: Vec<&str> = upstream.iter().map(String::as_str).collect();
        self.run(&[&["record", name], &upstream[..], options, &["--"], program].concat())
    }

    /// A deck that records from a stand-in until it is stopped.
    pub fn record(&self, name: &str, graph: &Graph, options: &[&str]) -> Deck<'_> {
        let upstream = upstream(graph);
        let upstream: Vec<&str> = upstream.iter().map(String::as_str).collect();
        self.start(&[&["record", name], &upstream[..], options].concat())
    }

    /// A deck that replays until it is stopped.
    pub fn replay(&self, name: &str, options: &[&str]) -> Deck<'_> {
        self.start(&[&["replay", name], options].concat())
    }

    /// Starts a deck on a free port, and waits until it says that it is ready.
    pub fn start(&self, arguments: &[&str]) -> Deck<'_> {
        let mut command = self.command(arguments);
        command.args(["--listen", "127.0.0.1:0"]);
        Deck::spawn(self, command)
    }

    /// The text with what differs from run to run replaced.
    pub fn tidy(&self, text: &str) -> String {
        let text = text.replace(&*self.path().to_string_lossy(), "PROJECT");
        let mut tidy = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("127.0.0.1:") {
            let end = at + "127.0.0.1:".len();
            tidy.push_str(&rest[..end]);
            rest = rest[end..].trim_start_matches(|c: char| c.is_ascii_digit());
            tidy.push_str("PORT");
        }
        tidy + rest
    }
}

fn upstream(graph: &Graph) -> [String; 4] {
    [
        "--connect-to".to_owned(),
        format!("graph.microsoft.com={}", graph.address),
        "--upstream-ca".to_owned(),
        graph.ca_file().to_string_lossy().into_owned(),
    ]
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output, project: &Project) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: project.tidy(&String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// A deck that serves. It is killed when it is dropped before it was stopped.
pub struct Deck<'a> {
    project: &'a Project,
    child: Child,
    lines: Receiver<String>,
    seen: String,
    pub address: SocketAddr,
}

impl<'a> Deck<'a> {
    pub fn spawn(project: &'a Project, mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut deck = Self { project, child, lines, seen: String::new(), address };
        let ready = deck.wait_for_line(" on http://");
        deck.address = ready.rsplit("http://").next().unwrap().parse().unwrap();
        deck
    }

    /// Waits until there is a line on standard error with `part` in it.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        if let Some(line) = self.seen.lines().find(|line| line.contains(part)) {
            return line.to_owned();
        }
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no line with {part:?} in:\n{}", self.seen));
            self.seen += &format!("{line}\n");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Everything that it has said so far.
    pub fn said(&self) -> &str {
        &self.seen
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How much memory it had at most so far, in KiB.
    #[cfg(target_os = "linux")]
    pub fn most_resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(process, signal).unwrap();
    }

    /// Sends a signal to it and its program, as a terminal does; it must be the first of a process group.
    pub fn signal_group(&self, signal: Signal) {
        let group = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process_group(group, signal).unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Ended {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen += &format!("{line}\n");
        }
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout, stderr: self.project.tidy(&self.seen) }
    }

    /// Ends it without a chance to do anything more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same, and returns what it had said.
    pub fn killed(mut self) -> String {
        self.child.kill().unwrap();
        self.wait().stderr
    }
}

impl Drop for Deck<'_> {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
