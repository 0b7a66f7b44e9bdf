//! The load driver: clients in a closed loop, each with one exchange under way, and what they and the server took.

use crate::Fault;
use crate::arguments::Arguments;
use crate::workload::{Post, Series, digits};
use crate::{h1, h2, process};
use memchr::memmem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a client gets to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Plain,
    Tls,
    Connect,
}

impl Via {
    fn of(arguments: &Arguments) -> Result<Self, Fault> {
        match arguments.text("via").unwrap_or("plain") {
            "plain" => Ok(Self::Plain),
            "tls" => Ok(Self::Tls),
            "connect" => Ok(Self::Connect),
            other => Err(format!("--via {other} is none of plain, tls, connect").into()),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) via: Via,
    pub(crate) http2: bool,
    /// How many exchanges are under way at once: in HTTP/1.1 one per connection, in HTTP/2 sixteen.
    pub(crate) connections: u64,
    pub(crate) users: u64,
    pub(crate) renamed: bool,
    /// Whether the answers are expected to be the ones to the requests.
    pub(crate) answers: bool,
    pub(crate) seconds: f64,
    /// The server's process.
    pub(crate) pid: Option<u32>,
    /// After how many requests each client ends of itself.
    pub(crate) each: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    /// The server's CPU time per request.
    pub(crate) cpu_us: f64,
    /// What all cores would answer in a second, if nothing else ran on them: their number by the CPU time of server and
    /// driver per request. It stays the same on a busy machine, as requests/s does not.
    pub(crate) capacity: f64,
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

pub(crate) fn command(arguments: &Arguments) -> Result<(), Fault> {
    let load = Load {
        address: arguments.needed("address")?,
        via: Via::of(arguments)?,
        http2: arguments.has("http2"),
        connections: arguments.or("connections", 64)?,
        users: arguments.or("users", 1)?,
        renamed: !arguments.has("recorded"),
        answers: arguments.has("answers"),
        seconds: arguments.or("seconds", 2.0)?,
        pid: if arguments.has("pid") { Some(arguments.needed("pid")?) } else { None },
        each: u64::MAX,
    };
    let it = load.run()?;
    println!(
        "{:.0} requests/s (capacity {:.0}), median {:.1} µs, p99 {:.1} µs, server CPU {:.2} µs per request, resident {:.1} MiB (peak {:.1})",
        it.per_second,
        it.capacity,
        it.median_us,
        it.p99_us,
        it.cpu_us,
        it.resident as f64 / 1048576.0,
        it.peak as f64 / 1048576.0
    );
    Ok(())
}

/// Sends a number of requests, one after the other on one connection: for counts and profiles.
pub(crate) fn send(arguments: &Arguments) -> Result<(), Fault> {
    let (address, count): (SocketAddr, u64) = (arguments.needed("address")?, arguments.needed("count")?);
    let mut series =
        Series { users: arguments.or("users", 1)?, renamed: !arguments.has("recorded"), client: 0, sent: 0 };
    runtime()?.block_on(async {
        let (mut connection, mut post) = (h1::Connection::open(address, Via::of(arguments)?).await?, Post::new());
        for _ in 0..count {
            let (configuration, user) = series.next();
            post.set(&configuration, user);
            if arguments.has("turns") {
                post.turn();
            }
            let answer = connection.exchange(&post.bytes).await?;
            expect(answer.status, answer.body, user, !arguments.has("limit"))?;
        }
        Ok(())
    })
}

/// A thread of clients, and the times of their exchanges in nanoseconds.
type Client = JoinHandle<Result<Vec<u32>, Fault>>;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

impl Load {
    /// Runs the load: a while to warm up, then the time that is measured.
    pub(crate) fn run(&self) -> Result<Measured, Fault> {
        let phase = Arc::new(AtomicU8::new(WARMING));
        let clients = self.spawn(&phase)?;
        let cpu = || Ok::<_, Fault>((self.pid.map_or(Ok(0), process::cpu)?, process::cpu(std::process::id())?));
        std::thread::sleep(Duration::from_secs_f64((self.seconds / 4.0).min(1.0)));
        let (began, before) = (Instant::now(), cpu()?);
        phase.store(MEASURING, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs_f64(self.seconds));
        // What a thread took is no longer told once it has ended.
        let (elapsed, after) = (began.elapsed(), cpu()?);
        phase.store(OVER, Ordering::Relaxed);
        let (resident, peak) = self.pid.map_or(Ok((0, 0)), process::memory)?;
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.join().map_err(|_| "a client panicked")??);
        }
        if times.is_empty() {
            return Err("no request was answered in time".into());
        }
        times.sort_unstable();
        let each = |after: u64, before: u64| (after - before) as f64 / 1000.0 / times.len() as f64;
        let (cpu_us, driver_us) = (each(after.0, before.0), each(after.1, before.1));
        let cores = std::thread::available_parallelism()?.get() as f64;
        let share = |share: f64| f64::from(times[((times.len() - 1) as f64 * share) as usize]) / 1000.0;
        Ok(Measured {
            per_second: times.len() as f64 / elapsed.as_secs_f64(),
            median_us: share(0.5),
            p99_us: share(0.99),
            cpu_us,
            capacity: cores * 1e6 / (cpu_us + driver_us),
            resident,
            peak,
        })
    }

    /// Lets every client send all that it may send, as fast as it can.
    pub(crate) fn send_all(&self) -> Result<(), Fault> {
        for client in self.spawn(&Arc::new(AtomicU8::new(MEASURING)))? {
            client.join().map_err(|_| "a client panicked")??;
        }
        Ok(())
    }

    fn spawn(&self, phase: &Arc<AtomicU8>) -> Result<Vec<Client>, Fault> {
        // As many as the server's threads, so that the driver is never what all wait for.
        let threads = self.connections.min(std::thread::available_parallelism()?.get() as u64);
        let start = |thread| {
            let (load, phase) = (self.clone(), Arc::clone(phase));
            std::thread::spawn(move || runtime()?.block_on(load.clients(thread, threads, &phase)))
        };
        Ok((0..threads).map(start).collect())
    }

    async fn clients(self, thread: u64, threads: u64, phase: &Arc<AtomicU8>) -> Result<Vec<u32>, Fault> {
        let mut tasks = Vec::new();
        let mut shared = None;
        for (nth, client) in (0..self.connections).filter(|client| client % threads == thread).enumerate() {
            let series = Series { users: self.users, renamed: self.renamed, client: client + 1, sent: 0 };
            if self.http2 && nth % 16 == 0 {
                shared = Some(h2::Connection::open(self.address, self.via).await?);
            }
            let (load, phase) = (self.clone(), Arc::clone(phase));
            tasks.push(match &shared {
                Some(connection) => tokio::spawn(load.multiplexed(connection.clone(), series, phase)),
                None => tokio::spawn(load.one_by_one(series, phase)),
            });
        }
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await??);
        }
        Ok(times)
    }

    async fn one_by_one(self, mut series: Series, phase: Arc<AtomicU8>) -> Result<Vec<u32>, Fault> {
        let (mut times, mut post) = (Vec::with_capacity(1 << 14), Post::new());
        let mut connection = h1::Connection::open(self.address, self.via).await?;
        loop {
            let (configuration, user) = series.next();
            post.set(&configuration, user);
            let (before, began) = (phase.load(Ordering::Relaxed), Instant::now());
            let answer = connection.exchange(&post.bytes).await?;
            let elapsed = began.elapsed();
            expect(answer.status, answer.body, user, self.answers && series.sent.is_multiple_of(64))?;
            let closes = answer.closes;
            if !took(&mut times, before, &phase, elapsed) || series.sent >= self.each {
                return Ok(times);
            }
            if closes {
                connection = h1::Connection::open(self.address, self.via).await?;
            }
        }
    }

    async fn multiplexed(
        self,
        mut connection: h2::Connection,
        mut series: Series,
        phase: Arc<AtomicU8>,
    ) -> Result<Vec<u32>, Fault> {
        let mut times = Vec::with_capacity(1 << 14);
        loop {
            let (configuration, user) = series.next();
            let (before, began) = (phase.load(Ordering::Relaxed), Instant::now());
            let (status, body) = match connection.exchange(&configuration, user).await {
                // It has had as many requests as the server allows.
                Err(_) if connection.is_closed() => {
                    connection = h2::Connection::open(self.address, self.via).await?;
                    continue;
                }
                outcome => outcome?,
            };
            let elapsed = began.elapsed();
            expect(status, &body, user, self.answers && series.sent.is_multiple_of(64))?;
            if !took(&mut times, before, &phase, elapsed) || series.sent >= self.each {
                return Ok(times);
            }
        }
    }
}

/// Keeps the time of an exchange that lay within what is measured; false when all is over.
fn took(times: &mut Vec<u32>, before: u8, phase: &AtomicU8, elapsed: Duration) -> bool {
    let now = phase.load(Ordering::Relaxed);
    // One that ends within it counts, so that a slow one is not left out.
    if now == MEASURING && before <= MEASURING {
        times.push(u32::try_from(elapsed.as_nanos()).unwrap_or(u32::MAX));
    }
    now != OVER
}

fn expect(status: u16, body: &[u8], user: u64, answers: bool) -> Result<(), Fault> {
    if status == 201 && (!answers || memmem::find(body, &digits(user)).is_some()) {
        return Ok(());
    }
    Err(format!("expected 201 and user {user}, got {status}: {}", String::from_utf8_lossy(body)).into())
}

fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
