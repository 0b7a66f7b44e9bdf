//! What is in the log and not yet in the engine: committed at once, put there later in large parts.

use super::engine::Engine;
use super::filler::Filler;
use super::frames;
use super::log::{self, CAPACITY, LARGEST, Log, Mark};
use super::rows::Row;
use super::takes::Fault;
use std::path::{Path, PathBuf};

/// How many bytes are handed to the engine together: enough that it seldom syncs, and there is room for others meanwhile.
const PART: usize = CAPACITY / 4;

/// The log of a store with what is not in the engine.
#[derive(Debug)]
pub(super) struct Backlog {
    path: PathBuf,
    /// None until there is something to be written.
    log: Option<Log>,
    filler: Filler,
    /// What the engine does not have, but for what is being put there; packed.
    rows: Vec<u8>,
    /// Memory for the next ones: that of those which the engine has, as it would take long to ask the system for it anew.
    spare: Vec<u8>,
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
        let (rows, spare) = (Vec::new(), Vec::new());
        Ok(Self { path, log: None, filler, rows, spare, newest: None, filling: None, broken: None })
    }

    /// Makes the log, unless there is one: a disk that is too full for it refuses a recording at its begin.
    pub(super) fn open(&mut self) -> Result<(), Fault> {
        if self.log.is_none() {
            self.log = Some(Log::create(&self.path).map_err(|source| Fault::io(&self.path, "written", source))?);
        }
        Ok(())
    }

    /// Commits rows: they are on the disk when this returns.
    pub(super) fn commit(&mut self, rows: &[Row<'_>]) -> Result<(), Fault> {
        self.lasting(|backlog| backlog.write(rows))
    }

    /// Puts all into the engine.
    pub(super) fn drain(&mut self) -> Result<(), Fault> {
        self.lasting(Self::fill)
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
    pub(super) fn end(&mut self) -> Result<(), Fault> {
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

    fn write(&mut self, rows: &[Row<'_>]) -> Result<(), Fault> {
        let size = frames::size(rows.iter().map(|row| frames::packed(row.row.len())).sum());
        if size > LARGEST {
            return self.write_past(rows);
        }
        self.open()?;
        self.advance(false)?;
        self.make_room(size)?;
        let before = self.rows.len();
        frames::pack(&mut self.rows, rows);
        let log = self.log.as_mut().expect("it was opened above");
        let mark = log.commit(&self.rows[before..]);
        self.newest = Some(mark.map_err(|source| Fault::io(&self.path, "written", source))?);
        if self.rows.len() >= PART {
            self.hand_over();
        }
        Ok(())
    }

    /// Waits until there is room for a frame of so many bytes.
    fn make_room(&mut self, size: usize) -> Result<(), Fault> {
        while !self.log().has_room(size) {
            let freed = self.log().write_down().map_err(|source| Fault::io(&self.path, "written", source))?;
            if !freed {
                self.hand_over();
                self.advance(true)?;
            }
        }
        Ok(())
    }

    /// What the log has no room for goes by it, after what came before.
    fn write_past(&mut self, rows: &[Row<'_>]) -> Result<(), Fault> {
        self.fill()?;
        let mut packed = Vec::new();
        frames::pack(&mut packed, rows);
        self.filler.hand_over(packed);
        self.filler.outcome(true).map_or(Ok(()), |outcome| outcome.map(drop))
    }

    fn fill(&mut self) -> Result<(), Fault> {
        self.advance(true)?;
        self.hand_over();
        self.advance(true)
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("it was opened before")
    }

    /// Hands the rows to the engine, unless there are none or it has some already.
    fn hand_over(&mut self) {
        if self.filling.is_none()
            && let Some(mark) = self.newest.take()
        {
            let spare = std::mem::take(&mut self.spare);
            self.filler.hand_over(std::mem::replace(&mut self.rows, spare));
            self.filling = Some(mark);
        }
    }

    /// Gives the room of what the engine has now to others.
    fn advance(&mut self, wait: bool) -> Result<(), Fault> {
        if let Some(mark) = self.filling
            && let Some(outcome) = self.filler.outcome(wait)
        {
            self.filling = None;
            self.spare = outcome?;
            // What a disk that was slow for once has gathered is not kept for ever.
            self.spare.shrink_to(2 * PART);
            self.log().release(mark);
        }
        Ok(())
    }
}
