//! Runs the limits, the deck and its peers alternately, round by round, and tells how they compare.

use crate::Fault;
use crate::arguments::Arguments;
use crate::fleet::Fleet;
use crate::load::{Load, Measured, Via};
use crate::table::{Compared, Figure, Report, median};
use crate::{disk, machine, pipeline};
use std::path::Path;

/// A load that the deck and something else are put under in turn.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    what: What,
    via: Via,
    http2: bool,
    connections: u64,
    users: u64,
    renamed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Replay,
    Record,
    /// A limit that looks one of many answers up, beside the one that does not.
    Search,
    /// The deck with many exchanges, beside the deck with one.
    Growth,
}

impl Scenario {
    fn name(&self) -> String {
        let what = match self.what {
            What::Record => "record, durable",
            What::Replay => "replay",
            What::Search => "a bare server that looks one up",
            What::Growth => "growth, the deck beside itself with 1 exchange",
        };
        let via = match self.via {
            Via::Plain => "plain",
            Via::Tls => "TLS",
            Via::Connect => "CONNECT + TLS",
        };
        let version = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let mut name = format!("{what}, {via}, {version}, {} connections", self.connections);
        if self.what == What::Search {
            name += &format!(", {} answers", self.users);
        } else if matches!(self.what, What::Replay | What::Growth) {
            name += &format!(", {} exchanges, {} ids", self.users, if self.renamed { "renamed" } else { "recorded" });
        }
        name
    }
}

fn scenarios(million: bool) -> Vec<Scenario> {
    let usual =
        Scenario { what: What::Replay, via: Via::Plain, http2: false, connections: 64, users: 1, renamed: true };
    let connect = Scenario { via: Via::Connect, ..usual };
    let record = Scenario { what: What::Record, users: 1_000_000, ..usual };
    let mut all = vec![
        usual,
        Scenario { connections: 16, ..usual },
        Scenario { connections: 1, ..usual },
        Scenario { renamed: false, ..usual },
        connect,
        Scenario { connections: 16, ..connect },
        Scenario { connections: 1, ..connect },
        Scenario { via: Via::Tls, ..usual },
        Scenario { http2: true, ..usual },
        Scenario { http2: true, via: Via::Tls, ..usual },
        Scenario { http2: true, ..connect },
        Scenario { users: 10_000, ..usual },
        Scenario { users: 10_000, renamed: false, ..usual },
        Scenario { what: What::Search, users: 10_000, ..usual },
        Scenario { what: What::Growth, users: 10_000, ..usual },
    ];
    if million {
        all.push(Scenario { what: What::Search, users: 1_000_000, ..usual });
        all.push(Scenario { what: What::Growth, users: 1_000_000, ..usual });
        all.push(Scenario { users: 1_000_000, ..usual });
        all.push(Scenario { users: 1_000_000, renamed: false, ..usual });
    }
    all.push(record);
    all.push(Scenario { connections: 1, ..record });
    all
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let deck = arguments.text("deck").ok_or("--deck is missing")?;
    let dir = arguments.text("out").ok_or("--out is missing")?;
    let (rounds, seconds) = (arguments.or("rounds", 5)?, arguments.or("seconds", 2.0)?);
    let only: Vec<&str> = arguments.text("only").map(|only| only.split(';').collect()).unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.trim()));
    let mut fleet = Fleet::new(Path::new(deck), Path::new(dir))?;
    let mut report = Report::new(machine::facts(deck)?, rounds, seconds);
    let scenarios: Vec<Scenario> =
        scenarios(arguments.has("million")).into_iter().filter(|scenario| wanted(&scenario.name())).collect();
    report.compared = scenarios.iter().map(|scenario| Compared::new(&scenario.name())).collect();
    starts(&fleet, &mut report, rounds, arguments.has("million"), &wanted)?;
    for round in 0..rounds {
        for (scenario, compared) in scenarios.iter().zip(&mut report.compared) {
            eprintln!("round {} of {rounds}: {}", round + 1, scenario.name());
            let mut limit = || measure(&mut fleet, *scenario, false, seconds);
            // Who comes first gains or loses by what the machine did before: they take turns.
            let (limit, ours) = if round % 2 == 0 {
                let limit = limit()?;
                (limit, measure(&mut fleet, *scenario, true, seconds)?)
            } else {
                let ours = measure(&mut fleet, *scenario, true, seconds)?;
                (measure(&mut fleet, *scenario, false, seconds)?, ours)
            };
            compared.rounds.push([limit, ours]);
        }
    }
    if wanted("disk") {
        let [typical, worst] = disk::sync_time(&fleet.path("disk"))?;
        report.figure("disk: one write and sync, median", typical.as_secs_f64() * 1e6, "µs", "");
        report.figure("disk: one write and sync, p99", worst.as_secs_f64() * 1e6, "µs", "");
    }
    peers(arguments, &mut fleet, &mut report, rounds, seconds)?;
    drop(fleet.end("replay 1000000"));
    pipeline::measure(&mut fleet, &mut report, arguments.has("million"), &wanted)?;
    report.figures.push(Figure::binary(deck)?);
    report.write(&fleet.path("compare"))?;
    println!("{}", report.markdown());
    Ok(())
}

fn measure(fleet: &mut Fleet, scenario: Scenario, ours: bool, seconds: f64) -> Result<Measured, Fault> {
    let Scenario { what, via, http2, connections, renamed, .. } = scenario;
    let users = if what == What::Growth && !ours { 1 } else { scenario.users };
    let server = match (what, ours) {
        (What::Replay, true) | (What::Growth, _) => fleet.replay(users)?,
        (What::Replay | What::Search, false) => fleet.limit(via, http2)?,
        (What::Search, true) => fleet.searching_limit(users)?,
        (What::Record, true) => fleet.record("bench")?,
        (What::Record, false) => fleet.proxy()?,
    };
    let answers = what == What::Growth || (ours && what == What::Replay);
    let (address, pid) = (server.address, Some(server.pid()));
    let load = Load { address, via, http2, connections, users, renamed, answers, seconds, pid, each: u64::MAX };
    let measured = load.run().map_err(|fault| Fault::from(format!("{}: {fault}", scenario.name())));
    // What it has recorded is of no use, and is not sealed.
    drop(fleet.end("record"));
    measured
}

/// From the start of the program to its first answer.
fn starts(
    fleet: &Fleet,
    report: &mut Report,
    rounds: u64,
    million: bool,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    for (users, target) in [(1, "20"), (10_000, ""), (1_000_000, "150")] {
        let name = format!("first answer after start, {users} exchanges");
        if !wanted(&name) || (users == 1_000_000 && !million) {
            continue;
        }
        eprintln!("{name}");
        let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        fleet.tape(users)?;
        fleet.forget_indexes();
        let first = milliseconds(fleet.first_answer(users)?);
        let rounds = if users == 1_000_000 { rounds.min(3) } else { rounds };
        let seen: Result<Vec<f64>, Fault> = (0..rounds).map(|_| Ok(milliseconds(fleet.first_answer(users)?))).collect();
        report.figure(&format!("{name}, first time"), first, "ms", if users == 1_000_000 { "5000" } else { "" });
        report.figure(&format!("{name}, seen before"), median(seen?), "ms", target);
    }
    Ok(())
}

/// Others that are installed, each by its start script: `PEERS/NAME.sh CASSETTE DIR`.
fn peers(
    arguments: &Arguments,
    fleet: &mut Fleet,
    report: &mut Report,
    rounds: u64,
    seconds: f64,
) -> Result<(), Fault> {
    let Some(scripts) = arguments.text("peers") else { return Ok(()) };
    for users in [1, 10_000] {
        for script in scripts.split(',').filter(|script| !script.is_empty()) {
            let name = Path::new(script).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let tape = fleet.tape(users)?;
            let mut command = std::process::Command::new(script);
            command.arg(tape).arg(fleet.path(&format!("peer-{name}-{users}")));
            let server = match fleet.start(&name, command) {
                Ok(server) => server,
                Err(fault) => {
                    report.absent.push(format!("{name} ({users} exchanges): {}", fault.to_string().trim()));
                    continue;
                }
            };
            let (address, pid) = (server.address, Some(server.pid()));
            let load = Load {
                address,
                via: Via::Plain,
                http2: false,
                connections: 64,
                users,
                renamed: false,
                answers: true,
                seconds,
                pid,
                each: u64::MAX,
            };
            let mut compared =
                Compared::new(&format!("{name}, plain, 64 connections, {users} exchanges, recorded ids"));
            for round in 0..rounds {
                eprintln!("round {} of {rounds}: {}", round + 1, compared.name);
                let limit = fleet.limit(Via::Plain, false)?;
                let limit = Load { address: limit.address, pid: Some(limit.pid()), answers: false, ..load.clone() };
                match (limit.run()?, load.run()) {
                    (limit, Ok(theirs)) => compared.rounds.push([limit, theirs]),
                    (_, Err(fault)) => {
                        report.absent.push(format!("{name} ({users} exchanges): {fault}"));
                        break;
                    }
                }
            }
            drop(fleet.end(&name));
            report.peers.push(compared);
        }
    }
    report.peers.retain(|compared| !compared.rounds.is_empty());
    Ok(())
}
