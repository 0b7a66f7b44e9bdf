//! Opens sessions with the files that they need, and seals what they recorded.

use super::progress::Progress;
use super::readying;
use super::sealing::{Seal, adds_nothing, discard, exchanges_of, kept, load, resume, seal_take, stand_ins};
use super::{Fault, complain, say};
use crate::config::{self, Config};
use crate::session::Session;
use crate::session::auto::Auto;
use crate::session::record::{self, Recorder};
use crate::session::replay::Player;
use crate::session::report::Mode;
use crate::session::sessions::{Later, Name, Opener};
use crate::session::tally::Tally;
use crate::session::trouble::{self, Trouble};
use crate::session::wanted::Wanted;
use crate::store::cassettes::{self, Cassettes};
use crate::store::journal::Journal;
use crate::store::takes::Takes;
use crate::tape::adapting;
use crate::tape::cassette::Cassette;
use crate::tape::index::Index;
use crate::tape::latency::Latency;
use crate::tape::mint::Mint;
use crate::tape::people::People;
use crate::tape::playing::Manner;
use crate::tape::route::Route;
use crate::tape::speaking::Policy;
use crate::tape::throttle::Throttle;
use crate::wire::message::BodyLimit;
use crate::wire::upstream::Upstream;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Arrivals are numbered from the time at which a recording began, so that a continued take goes on after its last one.
const ARRIVAL_BITS: u32 = 20;

/// What recording needs.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) journal: Arc<Journal>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) routes: Vec<Route>,
    /// Whether what is there already is continued.
    pub(super) append: bool,
    /// Whether cassettes are written with the recorded ids.
    pub(super) keep_ids: bool,
    /// Who was met, where stand-ins take the place of people.
    pub(super) people: Option<Arc<Mutex<People>>>,
}

/// Opens the sessions of a run.
#[derive(Clone, Debug)]
pub(super) struct Opening(Arc<Deck>);

#[derive(Debug)]
struct Deck {
    config: Config,
    mode: Mode,
    cassette: String,
    cassettes: Cassettes,
    recording: Option<Recording>,
    /// The seed of a run with random ids.
    chance: String,
    /// Cassettes made ready, by name, with the run's seed.
    indexes: Mutex<HashMap<String, Arc<Index>>>,
    /// Which session records a cassette; none any more where it is sealed.
    recorded_by: Mutex<HashMap<String, Option<Name>>>,
    /// The takes of this run.
    begun: Mutex<HashSet<u64>>,
    failed: AtomicBool,
    /// Whether sessions were named: the one without a name may then have had nothing to do.
    named: AtomicBool,
}

impl Opening {
    pub(super) fn new(config: Config, mode: Mode, cassette: &str, recording: Option<Recording>) -> Self {
        Self(Arc::new(Deck {
            cassettes: Cassettes::new(config.cassettes.clone()),
            config,
            mode,
            cassette: cassette.to_owned(),
            recording,
            chance: uuid::Uuid::new_v4().to_string(),
            indexes: Mutex::default(),
            recorded_by: Mutex::default(),
            begun: Mutex::default(),
            failed: AtomicBool::new(false),
            named: AtomicBool::new(false),
        }))
    }

    /// A player of the run's cassette, for a session without a run.
    pub(super) fn player(&self, name: &Name) -> Result<Player, Fault> {
        self.0.player(name, &self.0.cassette, &Wanted::default())
    }

    /// Opens the session without a name.
    pub(super) async fn first(&self) -> Result<Session, Fault> {
        self.0.open(&Name::default(), &Wanted::default()).await
    }

    /// Notes that the run's program failed: what was recorded takes the place of no cassette.
    pub(super) fn fail(&self) {
        self.0.failed.store(true, Ordering::Relaxed);
    }

    /// Removes the takes of a run that did not come to begin.
    pub(super) fn discard(&self, session: &Session) -> Result<(), Fault> {
        self.0.with_take(session, |journal, take| discard(journal, take)).map(drop)
    }

    /// Where the recording of a session is kept that is not sealed.
    pub(super) fn kept(&self, session: &Session) -> Result<Option<String>, Fault> {
        let name = session.tally().cassette();
        self.0.with_take(session, |journal, take| {
            journal.close(take)?;
            kept(journal, take, name)
        })
    }
}

impl Opener for Opening {
    fn open<'a>(&'a self, name: &'a Name, wanted: &'a Wanted) -> Later<'a, Session> {
        Box::pin(async move { self.0.open(name, wanted).await.map_err(|fault| fault.to_string()) })
    }

    fn close<'a>(&'a self, name: &'a Name, session: &'a Session) -> Later<'a, Option<String>> {
        Box::pin(async move {
            if let Some(recorder) = session.recorder() {
                recorder.end().await;
            }
            let sealed = tokio::task::block_in_place(|| self.0.seal(session));
            self.0.release(name);
            match sealed {
                Ok(None) => Ok(None),
                Ok(Some((line, true))) => {
                    say(&line);
                    Ok(Some(line))
                }
                // The run's exit code tells of what failed in it.
                Ok(Some((line, false))) => {
                    complain(&line);
                    Ok(Some(line))
                }
                Err(fault) => {
                    let kept = self.kept(session).ok().flatten().map(|kept| format!("; {kept}")).unwrap_or_default();
                    Err(format!("{fault}{kept}"))
                }
            }
        })
    }
}

impl Deck {
    async fn open(&self, name: &Name, wanted: &Wanted) -> Result<Session, Fault> {
        let cassette = self.cassette_of(name, wanted)?;
        self.named.fetch_or(!name.is_default(), Ordering::Relaxed);
        match &self.recording {
            None => tokio::task::block_in_place(|| self.player(name, &cassette, wanted))
                .map(|player| Session::Replay(Box::new(player))),
            Some(recording) => {
                self.claim(name, &cassette, recording.append)?;
                let opened = tokio::task::block_in_place(|| self.recorder(recording, name, &cassette));
                if opened.is_err() {
                    self.recorded_by().remove(&cassette);
                }
                opened
            }
        }
    }

    fn cassette_of(&self, name: &Name, wanted: &Wanted) -> Result<String, Fault> {
        let replays = self.mode == Mode::Replay;
        if !replays && wanted.asks_of_a_replay() {
            let why =
                "`strict`, `ids`, `seed`, `faults`, `throttle` and `latency` are for replays, and this deck records";
            let why = why.to_owned();
            return Err(Fault::Flag { flag: "session", why });
        }
        let own =
            || if self.cassettes.contains(name.as_str())? { Ok(name.as_str()) } else { Ok(self.cassette.as_str()) };
        let chosen = match &wanted.cassette {
            Some(cassette) => cassette,
            None if name.is_default() => &self.cassette,
            None if replays => return own().map(str::to_owned),
            None => name.as_str(),
        };
        self.cassettes.path(chosen)?;
        Ok(chosen.to_owned())
    }

    /// Sees that no other session records a cassette, and that none of this run has sealed it, unless it is continued.
    fn claim(&self, name: &Name, cassette: &str, append: bool) -> Result<(), Fault> {
        let mut recorded_by = self.recorded_by();
        let why = match recorded_by.get(cassette) {
            Some(Some(by)) if by != name => format!("the session `{by}` records {cassette} already"),
            Some(None) if !append => {
                format!("{cassette} was recorded and sealed in this run: take another name, or run with --append")
            }
            _ => {
                recorded_by.insert(cassette.to_owned(), Some(name.clone()));
                return Ok(());
            }
        };
        Err(Fault::Flag { flag: "cassette", why })
    }

    /// Notes that a session records no more.
    fn release(&self, name: &Name) {
        self.recorded_by().values_mut().filter(|by| by.as_ref() == Some(name)).for_each(|by| *by = None);
    }

    fn recorded_by(&self) -> MutexGuard<'_, HashMap<String, Option<Name>>> {
        self.recorded_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn player(&self, name: &Name, cassette: &str, wanted: &Wanted) -> Result<Player, Fault> {
        let wrong = |why| Fault::Flag { flag: "ids", why };
        let policy = wanted.ids.as_deref().map(config::parse_policy).transpose().map_err(wrong)?;
        let policy = policy.unwrap_or(self.config.ids);
        let seed = match policy {
            Policy::Random => &self.chance,
            Policy::Derive | Policy::Recorded => wanted.seed.as_ref().unwrap_or(&self.config.seed),
        };
        let index = self.index(cassette, seed)?;
        let tally = Arc::new(Tally::new(name.as_str(), cassette, index.len()));
        let manner = Manner { policy, strict: wanted.strict.unwrap_or(self.config.strict), verbatim: false };
        let trouble = self.trouble(wanted, cassette, &index)?;
        Ok(Player::new(index, manner, tally).with_trouble(trouble))
    }

    /// The trouble on demand of a session: the run's, but for what it wants of its own.
    fn trouble(&self, wanted: &Wanted, cassette: &str, index: &Index) -> Result<Trouble, Fault> {
        let own = |flag, why| Fault::Flag { flag, why };
        let config::Trouble { faults, throttle, latency } = &self.config.trouble;
        let seed = wanted.seed.as_ref().unwrap_or(&self.config.seed).clone();
        let mut settings = trouble::Settings { faults: faults.clone(), throttle: *throttle, latency: *latency, seed };
        if let Some(faults) = &wanted.faults {
            settings.faults = config::parse_faults(faults).map_err(|why| own("faults", why))?;
        }
        if let Some(throttle) = &wanted.throttle {
            settings.throttle = Throttle::parse(throttle).map_err(|why| own("throttle", why))?;
        }
        if let Some(latency) = &wanted.latency {
            settings.latency = Latency::parse(latency).map_err(|why| own("latency", why))?;
            tell_of_times(settings.latency, cassette, index);
        }
        Ok(Trouble::new(settings))
    }

    /// A cassette made ready, once for all sessions that play it, whatever their seeds.
    fn index(&self, cassette: &str, seed: &str) -> Result<Arc<Index>, Fault> {
        let own = &self.config.seed;
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let index = match indexes.get(cassette) {
            Some(index) => Arc::clone(index),
            None => {
                let large = readying::large(&self.config, cassette, &self.cassettes.path(cassette)?)?;
                let index = Arc::new(match large {
                    Some(index) => index,
                    None => self.ready(cassette, load(&self.cassettes, &self.config, cassette)?)?,
                });
                for (line, why) in index.idle_rules() {
                    say(format!("note: config, line {line}: {why} (in {cassette})"));
                }
                tell_of_times(self.config.trouble.latency, cassette, &index);
                indexes.insert(cassette.to_owned(), Arc::clone(&index));
                index
            }
        };
        Ok(if seed == own { index } else { Arc::new(index.with_seed(seed)) })
    }

    fn ready(&self, name: &str, mut cassette: Cassette) -> Result<Index, Fault> {
        // The text decides, not the file's bytes: a checkout may have changed its line ends.
        let digest = *blake3::hash(cassette.print().as_bytes()).as_bytes();
        let path = self.cassettes.path(name)?;
        adapting::adapt(&mut cassette.entries, self.config.waits);
        let progress = Progress::of(&format!("loading {name}"), cassette.entries.len());
        let key = if cassette.people { stand_ins(&self.config)? } else { None };
        let rules = self.config.rules.clone().with_stand_ins(key);
        let index = Index::compile(cassette, rules, Mint::new(&self.config.seed, &digest), || progress.step());
        Ok(index.map_err(|source| cassettes::Fault::Damaged { path, source })?)
    }

    fn recorder(&self, recording: &Recording, name: &Name, cassette: &str) -> Result<Session, Fault> {
        let started = now();
        let journal = &recording.journal;
        let take = if recording.append {
            let in_use = |take| self.begun().contains(&take);
            resume(&**journal, &self.cassettes, cassette, started.as_secs(), recording.people.as_deref(), in_use)?
        } else {
            let beside = self.cassettes.digest(cassette)?;
            journal.begin_with(cassette, started.as_secs(), beside, &[])?
        };
        self.begun().insert(take);
        let settings = record::Settings {
            upstream: Arc::clone(&recording.upstream),
            store: Arc::<Journal>::clone(journal),
            take,
            first_arrival: u64::try_from(started.as_millis()).unwrap_or(0) << ARRIVAL_BITS,
            routes: recording.routes.clone(),
            secrets: self.config.rules.secrets().clone(),
            people: recording.people.clone(),
            client_timeout: self.config.client_timeout,
            body_limit: body_limit(&self.config),
            timings: self.config.timings,
        };
        if self.mode == Mode::Record {
            let tally = Arc::new(Tally::new(name.as_str(), cassette, 0));
            return Ok(Session::Record(Box::new(Recorder::new(settings, tally))));
        }
        let exchanges = journal.read(take)?;
        let index = self.ready(cassette, self.seal_of(recording).cassette(exchanges))?;
        let tally = Arc::new(Tally::new(name.as_str(), cassette, index.len()));
        // What is played may be asked about at Graph next, which knows only the ids that it gave out.
        let manner = Manner { policy: Policy::Recorded, strict: false, verbatim: true };
        tell_of_times(self.config.trouble.latency, cassette, &index);
        let trouble = self.trouble(&Wanted::default(), cassette, &index)?;
        let player = Player::new(Arc::new(index), manner, Arc::clone(&tally)).with_trouble(trouble);
        Ok(Session::Auto(Box::new(Auto::new(player, Recorder::new(settings, tally)))))
    }

    fn with_take<T>(
        &self,
        session: &Session,
        with: impl FnOnce(&Journal, u64) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match (&self.recording, session.recorder()) {
            (Some(recording), Some(recorder)) => with(&recording.journal, recorder.take()).map(Some),
            _ => Ok(None),
        }
    }

    fn seal_of<'a>(&'a self, recording: &'a Recording) -> Seal<'a> {
        Seal { rules: &self.config.rules, people: recording.people.as_deref(), keep_ids: recording.keep_ids }
    }

    /// Seals what a session recorded, and tells what came of it, and whether that is good.
    fn seal(&self, session: &Session) -> Result<Option<(String, bool)>, Fault> {
        let report = session.report();
        let failed = self.failed.load(Ordering::Relaxed) || report.holes > 0;
        let idle = report.is_idle() && self.named.load(Ordering::Relaxed);
        let name = &report.cassette;
        let sealed = self.with_take(session, |journal, take| {
            journal.close(take)?;
            let exchanges = exchanges_of(journal, take)?;
            if idle && exchanges == 0 {
                journal.remove(take)?;
                return Ok(None);
            }
            // What is there is what was there.
            if exchanges > 0 && adds_nothing(journal, take)? {
                journal.remove(take)?;
                let nothing = if matches!(session, Session::Auto(_)) { "missing" } else { "added" };
                return Ok(Some((format!("nothing was {nothing}, so {name} stays as it was"), !failed)));
            }
            let line = {
                let recording = self.recording.as_ref().expect("what has a take records");
                seal_take(journal, take, &self.cassettes, name, failed, &self.seal_of(recording))?
            };
            Ok(Some((line, !failed)))
        });
        Ok(sealed?.flatten())
    }
}

/// Says where a replay is to take as long as Graph did, and the tape does not tell how long that was.
fn tell_of_times(latency: Latency, cassette: &str, index: &Index) {
    let without = if latency == Latency::Recorded { index.without_times() } else { 0 };
    if without > 0 {
        let all = index.len();
        say(format!(
            "note: {without} of the {all} exchanges of {cassette} hold no time, so they are answered at once: record it with --timings"
        ));
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// How large the body of a request may be.
pub(super) fn body_limit(config: &Config) -> BodyLimit {
    let expansion = usize::try_from(config.limits.expansion).unwrap_or(usize::MAX);
    BodyLimit { bytes: config.body_limit, expansion }
}
