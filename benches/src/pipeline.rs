//! From a recording to a replay, by the number of exchanges: record, seal, check, import; time and memory.

use crate::Fault;
use crate::fleet::Fleet;
use crate::load::{Load, Via};
use crate::process::{self, Ended};
use crate::table::Report;
use std::time::Instant;

pub(crate) fn measure(
    fleet: &mut Fleet,
    report: &mut Report,
    million: bool,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    let sizes: &[u64] = if million { &[10_000, 100_000, 1_000_000] } else { &[10_000, 100_000] };
    for &count in sizes {
        if !wanted(&format!("pipeline, {count} exchanges")) {
            continue;
        }
        eprintln!("pipeline, {count} exchanges");
        let mut tell = |step: &str, seconds: f64, peak: u64| {
            report.figure(&format!("{step}, {count} exchanges"), seconds, "s", "");
            report.figure(&format!("{step}, {count} exchanges, peak memory"), peak as f64 / 1_048_576.0, "MiB", "");
        };
        let tape = fleet.path("tapes").join("bench.json");
        let _ = std::fs::remove_file(&tape);
        let server = fleet.record("bench")?;
        let (address, pid) = (server.address, server.pid());
        let load = Load {
            address,
            via: Via::Plain,
            http2: false,
            connections: 64,
            users: 1_000_000,
            renamed: true,
            answers: false,
            seconds: 0.0,
            pid: None,
            each: count / 64,
        };
        let began = Instant::now();
        load.send_all()?;
        tell("record", began.elapsed().as_secs_f64(), process::memory(pid)?.1);
        let server = fleet.end("record").ok_or("it is running")?;
        let Ended { seconds, peak } = server.finish()?;
        tell("seal", seconds, peak);
        for (step, words) in [
            ("check", vec!["cassette", "check", "tapes/bench.json"]),
            ("import", vec!["cassette", "import", "tapes/bench.json", "--name", "again", "--force"]),
        ] {
            let mut command = fleet.deck();
            command.args(words);
            let Ended { seconds, peak } = process::run(&mut command)?;
            tell(step, seconds, peak);
        }
    }
    Ok(())
}
