//! The sessions of a run, by name: opened when they are first named, and each on its own.

use super::Session;
use super::name::MOST;
pub use super::name::{Fault, Name};
use super::report::{Mode, Report, SessionReport};
use super::wanted::Wanted;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{Notify, OnceCell};

fn closing(name: &Name) -> Fault {
    Fault::Refused(format!("the session `{name}` is being closed"))
}

/// What comes of an opener's work, later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Makes sessions, and ends them: with the files that these need.
pub trait Opener: Send + Sync {
    /// Makes a session.
    fn open<'a>(&'a self, name: &'a Name, wanted: &'a Wanted) -> Later<'a, Session>;

    /// Ends one: what it recorded is sealed. The line says what came of it.
    fn close<'a>(&'a self, name: &'a Name, session: &'a Session) -> Later<'a, Option<String>>;
}

// To show all of one would need the means to show all that it reaches, in every program.
impl fmt::Debug for dyn Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

#[derive(Clone, Debug)]
struct Slot {
    wanted: Wanted,
    session: Arc<OnceCell<Arc<Session>>>,
    /// Whether it is being closed: it takes no more requests, and is no new one yet.
    closing: bool,
}

/// The sessions of a run.
#[derive(Debug)]
pub struct Sessions {
    mode: Mode,
    cassette: String,
    opener: Box<dyn Opener>,
    open: RwLock<BTreeMap<Name, Slot>>,
    /// The reports of sessions that were closed, or put back to their begin.
    closed: Mutex<Vec<SessionReport>>,
    /// What went wrong when sessions were closed.
    failed: Mutex<Vec<Fault>>,
    /// Told when a session has been opened or closed.
    done: Notify,
    /// Whether the run ends, and opens no more of them.
    ending: AtomicBool,
    /// How often a name may have come to mean another session, or none.
    changes: AtomicU64,
}

impl Sessions {
    /// The sessions of a run that was started with `cassette`; `first` is the one without a name.
    #[must_use]
    pub fn start(mode: Mode, cassette: &str, opener: Box<dyn Opener>, first: Session) -> Arc<Self> {
        let session = Arc::new(OnceCell::new_with(Some(Arc::new(first))));
        let first = Slot { wanted: Wanted::default(), session, closing: false };
        let open = RwLock::new(BTreeMap::from([(Name::default(), first)]));
        let (closed, failed) = (Mutex::default(), Mutex::default());
        Arc::new(Self {
            mode,
            cassette: cassette.to_owned(),
            opener,
            open,
            closed,
            failed,
            done: Notify::new(),
            ending: AtomicBool::new(false),
            changes: AtomicU64::new(0),
        })
    }

    /// What the run does.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The cassette that the run was started with.
    #[must_use]
    pub fn cassette(&self) -> &str {
        &self.cassette
    }

    /// The session of a name; it is opened if it is not.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn get(self: &Arc<Self>, name: &Name) -> Result<Arc<Session>, Fault> {
        let found = {
            let slots = self.slots();
            let slot = slots.get(name);
            // Nearly every request is for a session that is there.
            if let Some(session) = slot.filter(|slot| !slot.closing).and_then(|slot| slot.session.get()) {
                return Ok(Arc::clone(session));
            }
            slot.cloned()
        };
        let slot = match found {
            Some(slot) if slot.closing => return Err(closing(name)),
            Some(slot) => slot,
            None => self.slot(name, Wanted::default(), false)?,
        };
        // Boxed, so that every request is not as large under way as one that opens a session.
        Box::pin(self.fill(name, slot)).await
    }

    /// How often what [`Self::get`] returns may have changed: as long as that is the same, so is each session.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Opens a session as it is wanted.
    ///
    /// # Errors
    /// When it is open already, or cannot be opened.
    pub async fn open(self: &Arc<Self>, name: &Name, wanted: Wanted) -> Result<Arc<Session>, Fault> {
        let slot = self.slot(name, wanted, true)?;
        self.fill(name, slot).await
    }

    fn slots(&self) -> RwLockReadGuard<'_, BTreeMap<Name, Slot>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The places of sessions, to be changed: which is counted, before anything is.
    fn slots_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Name, Slot>> {
        let slots = self.open.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::Release);
        slots
    }

    /// The place of a session, new or not; `new` asks for a new one.
    fn slot(&self, name: &Name, wanted: Wanted, new: bool) -> Result<Slot, Fault> {
        let mut open = self.slots_mut();
        match open.get(name) {
            Some(slot) if slot.closing => return Err(closing(name)),
            Some(_) if new => return Err(Fault::Open(name.clone())),
            Some(slot) => return Ok(slot.clone()),
            None if self.ending.load(Ordering::Relaxed) => {
                return Err(Fault::Refused("the deck is about to end".to_owned()));
            }
            None if open.len() >= MOST => return Err(Fault::TooMany),
            None => {}
        }
        let slot = Slot { wanted, session: Arc::default(), closing: false };
        open.insert(name.clone(), slot.clone());
        Ok(slot)
    }

    /// The session of a place. It is made once, however many ask for it, and also when all of them go away.
    async fn fill(self: &Arc<Self>, name: &Name, slot: Slot) -> Result<Arc<Session>, Fault> {
        if let Some(session) = slot.session.get() {
            return Ok(Arc::clone(session));
        }
        let (sessions, name) = (Arc::clone(self), name.clone());
        let made = tokio::spawn(async move { sessions.make(&name, &slot).await });
        made.await.unwrap_or_else(|why| Err(Fault::Refused(format!("the session could not be opened: {why}"))))
    }

    async fn make(&self, name: &Name, slot: &Slot) -> Result<Arc<Session>, Fault> {
        let made = slot.session.get_or_try_init(|| async {
            let made = self.opener.open(name, &slot.wanted).await;
            made.map(Arc::new).map_err(|why| Fault::Cannot { name: name.clone(), why })
        });
        let made = made.await.cloned();
        if made.is_ok() {
            self.done.notify_waiters();
        }
        match made {
            Ok(session) => Ok(session),
            Err(fault) => {
                let mut open = self.slots_mut();
                let same = open.get(name).is_some_and(|found| Arc::ptr_eq(&found.session, &slot.session));
                if same && !slot.session.initialized() {
                    open.remove(name);
                }
                drop(open);
                self.done.notify_waiters();
                Err(fault)
            }
        }
    }

    /// Puts a replay back to the begin of its tape, with nothing bound and nothing counted; what happened so far stays
    /// in the run's report.
    ///
    /// # Errors
    /// When there is no such session, or it records.
    pub async fn reset(self: &Arc<Self>, name: &Name) -> Result<Arc<Session>, Fault> {
        if self.mode.reaches_graph() {
            let why = "a recording cannot be taken back: close the session, and record under another name";
            return Err(Fault::Refused(why.to_owned()));
        }
        let (old, slot) = {
            let mut open = self.slots_mut();
            let slot = open.get_mut(name).ok_or_else(|| Fault::Unknown(name.clone()))?;
            if slot.closing {
                return Err(closing(name));
            }
            let old = std::mem::take(&mut slot.session);
            (old, slot.clone())
        };
        if let Some(old) = old.get() {
            self.keep(old.report());
        }
        self.fill(name, slot).await
    }

    /// Closes a session: what it recorded is sealed, and its report kept for the run's. That is done to its end, also
    /// when who asked for it goes away.
    ///
    /// # Errors
    /// When there is no such session, it is the one without a name, or what it recorded cannot be sealed.
    pub async fn close(self: &Arc<Self>, name: &Name) -> Result<(SessionReport, Option<String>), Fault> {
        if name.is_default() {
            return Err(Fault::Refused("the session without a name ends with the deck".to_owned()));
        }
        let session = {
            let mut open = self.slots_mut();
            let slot = open.get_mut(name).ok_or_else(|| Fault::Unknown(name.clone()))?;
            if slot.closing {
                return Err(closing(name));
            }
            let opening = || Fault::Refused(format!("the session `{name}` is still being opened"));
            let session = slot.session.get().cloned().ok_or_else(opening)?;
            slot.closing = true;
            session
        };
        let (sessions, name) = (Arc::clone(self), name.clone());
        let closed = tokio::spawn(async move {
            // In a task of its own, so that even a panic in it leaves nobody waiting.
            let ending = {
                let (sessions, name, session) = (Arc::clone(&sessions), name.clone(), Arc::clone(&session));
                tokio::spawn(async move { sessions.end(&name, &session).await })
            };
            let ended = ending.await.unwrap_or_else(|why| Err(Fault::Refused(format!("the session `{name}`: {why}"))));
            let report = session.report();
            sessions.keep(report.clone());
            let ended = ended.map_err(|why| {
                let told = Fault::Refused(why.to_string());
                sessions.failed.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                told
            });
            sessions.slots_mut().remove(&name);
            sessions.done.notify_waiters();
            ended.map(|line| (report, line))
        });
        closed.await.unwrap_or_else(|why| Err(Fault::Refused(format!("the session could not be closed: {why}"))))
    }

    async fn end(&self, name: &Name, session: &Session) -> Result<Option<String>, Fault> {
        self.opener.close(name, session).await.map_err(|why| Fault::Refused(format!("the session `{name}`: {why}")))
    }

    /// Ends every session that is open, the one without a name first, and tells what went wrong, now or before.
    pub async fn end_all(&self) -> Vec<Fault> {
        {
            // Under the lock, so that no place is made after it.
            let _open = self.slots_mut();
            self.ending.store(true, Ordering::Relaxed);
        }
        loop {
            let done = self.done.notified();
            if !self.slots().values().any(|slot| slot.closing || !slot.session.initialized()) {
                break;
            }
            done.await;
        }
        let mut failed = std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner));
        for (name, session) in self.all() {
            failed.extend(self.end(&name, &session).await.err());
        }
        failed
    }

    /// Keeps what happened in a session that is no more, with what happened in others of its name.
    fn keep(&self, report: SessionReport) {
        let mut closed = self.closed();
        match closed.iter_mut().find(|kept| kept.name == report.name && kept.cassette == report.cassette) {
            Some(kept) => kept.absorb(report),
            None => closed.push(report),
        }
    }

    fn closed(&self) -> MutexGuard<'_, Vec<SessionReport>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions that are open, the one without a name first.
    #[must_use]
    pub fn all(&self) -> Vec<(Name, Arc<Session>)> {
        let open = self.slots();
        let made = open
            .iter()
            .filter(|(_, slot)| !slot.closing)
            .filter_map(|(name, slot)| Some((name.clone(), Arc::clone(slot.session.get()?))));
        let mut all: Vec<_> = made.collect();
        all.sort_by_key(|(name, _)| !name.is_default());
        all
    }

    /// What has happened so far, in all of them.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut reports: Vec<SessionReport> = self.all().iter().map(|(_, session)| session.report()).collect();
        for closed in self.closed().iter() {
            let same = |report: &&mut SessionReport| report.name == closed.name && report.cassette == closed.cassette;
            match reports.iter_mut().find(same) {
                Some(report) => report.absorb(closed.clone()),
                None => reports.push(closed.clone()),
            }
        }
        Report::of(self.mode, &self.cassette, reports)
    }
}
