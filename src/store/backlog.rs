//! What is in the log and not yet in the engine: committed at once, put there later in large parts.

use super::engine::Engine;
use super::filler::Filler;
use super::frames;
use super::log::{self, CAPACITY, LARGEST, Log, Mark};
use super::rows::Row;
use super::takes::Fault;
use std::path::{Path, PathBuf};

/// How many bytes are handed to the engine together, so that it seldom flushes, and there is room meanwhile.
const PART: usize = CAPACITY / 4;

/// The log of a store with what is not in the engine.
#[derive(Debug)]
pub(super) struct Backlog {
    path: PathBuf,
    /// None until there is something to be written.
    log: Option<Log>,
    filler: Filler,
    /// What the engine does not have, but for what is being put there.
    rows: Vec<Row>,
    bytes: usize,
    /// Up to where `rows` go.
    newest: Option<Mark>,
    /// Up to where what is being put into the engine goes.
    filling: Option<Mark>,
    /// Why nothing is committed any more: what is on the disk then is found out when the store is opened again.
    broken: Option<Fault>,
}

impl Backlog {
    pub(super) fn new(path: &Path, engine: Engine) -> Result<Self, Fault> {
        let filler = Filler::start(path, engine).map_err(|source| Fault::io(path, "opened", source))?;
        let path = path.to_owned();
        Ok(Self { path, log: None, filler, rows: Vec::new(), bytes: 0, newest: None, filling: None, broken: None })
    }

    /// Makes the log, unless there is one: a disk that is too full for it refuses a recording at its begin.
    pub(super) fn open(&mut self) -> Result<(), Fault> {
        if self.log.is_none() {
            self.log = Some(Log::create(&self.path).map_err(|source| Fault::io(&self.path, "written", source))?);
        }
        Ok(())
    }

    /// Commits rows: they are on the disk when this returns.
    pub(super) fn commit(&mut self, rows: Vec<Row>) -> Result<(), Fault> {
        self.lasting(|backlog| backlog.write(rows))
    }

    /// Puts all into the engine.
    pub(super) fn drain(&mut self) -> Result<(), Fault> {
        self.lasting(|backlog| {
            backlog.advance(true)?;
            backlog.hand_over();
            backlog.advance(true)
        })
    }

    /// Puts all into the engine, and leaves nothing of it in the log's file.
    pub(super) fn erase(&mut self) -> Result<(), Fault> {
        self.drain()?;
        self.lasting(|backlog| match &mut backlog.log {
            Some(log) => log.erase().map_err(|source| Fault::io(&backlog.path, "written", source)),
            None => Ok(()),
        })
    }

    /// Puts all into the engine, and removes the log.
    pub(super) fn end(mut self) -> Result<(), Fault> {
        self.drain()?;
        if self.log.take().is_some() { log::remove(&self.path) } else { Ok(()) }
    }

    /// Does something unless an earlier thing has failed: after that nobody knows what the disk has.
    fn lasting(&mut self, run: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.again());
        }
        run(self).inspect_err(|fault| self.broken = Some(fault.again()))
    }

    fn write(&mut self, rows: Vec<Row>) -> Result<(), Fault> {
        let size = rows.iter().map(|row| frames::size(row.row.len())).sum();
        if size > LARGEST {
            // What the log has no room for goes by it, after what came before.
            self.advance(true)?;
            self.hand_over();
            self.advance(true)?;
            self.filler.hand_over(rows);
            return self.filler.outcome(true).unwrap_or(Ok(()));
        }
        self.open()?;
        self.advance(false)?;
        while !self.log().has_room(size) {
            self.hand_over();
            self.advance(true)?;
        }
        let mark = self.log().commit(&rows);
        self.newest = Some(mark.map_err(|source| Fault::io(&self.path, "written", source))?);
        self.rows.extend(rows);
        self.bytes += size;
        if self.bytes >= PART {
            self.hand_over();
        }
        Ok(())
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("it was opened before")
    }

    /// Hands the rows to the engine, unless there are none or it has some already.
    fn hand_over(&mut self) {
        if self.filling.is_none()
            && let Some(mark) = self.newest.take()
        {
            self.filler.hand_over(std::mem::take(&mut self.rows));
            self.bytes = 0;
            self.filling = Some(mark);
        }
    }

    /// Gives the room of what the engine has now to others.
    fn advance(&mut self, wait: bool) -> Result<(), Fault> {
        if let Some(mark) = self.filling
            && let Some(outcome) = self.filler.outcome(wait)
        {
            self.filling = None;
            outcome?;
            self.log().release(mark).map_err(|source| Fault::io(&self.path, "written", source))?;
        }
        Ok(())
    }
}
