//! A server under measurement: a process of its own, and what the system says of it.

use crate::Fault;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program, and waits until it says `… on http://ADDRESS`.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Fault> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let address = loop {
            let begin = said.len();
            if lines.read_line(&mut said)? == 0 {
                let _ = child.wait();
                return Err(format!("{:?} ended before it served: {said}", command.get_program()).into());
            }
            if let Some((_, address)) = said[begin..].trim_end().rsplit_once(" on http://") {
                break address.parse()?;
            }
        };
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
        Ok(Self { child, address })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn finish(mut self) -> Result<Ended, Fault> {
        Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        watch(&mut self.child)
    }
}

/// How long a program took, and the most it had in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) seconds: f64,
    pub(crate) peak: u64,
}

/// Runs a program to its end, which has to be a good one.
pub(crate) fn run(command: &mut Command) -> Result<Ended, Fault> {
    watch(&mut command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

fn watch(child: &mut Child) -> Result<Ended, Fault> {
    let (began, mut peak) = (Instant::now(), 0);
    loop {
        if let Some(status) = child.try_wait()? {
            let seconds = began.elapsed().as_secs_f64();
            return if status.success() {
                Ok(Ended { seconds, peak })
            } else {
                Err(format!("it ended with {status}").into())
            };
        }
        peak = memory(child.id()).map_or(peak, |(_, now)| now.max(peak));
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The CPU time of a process so far, user and system, in nanoseconds: the sum over its threads.
pub(crate) fn cpu(pid: u32) -> Result<u64, Fault> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// What a process has in memory now, and had at most, in bytes.
pub(crate) fn memory(pid: u32) -> Result<(u64, u64), Fault> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Ok((field("VmRSS:").unwrap_or(0) * 1024, field("VmHWM:").unwrap_or(0) * 1024))
}
