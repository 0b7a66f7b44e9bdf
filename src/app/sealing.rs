//! From a take to a cassette: sealed when its recording ends well, kept when it does not, played where none is sealed.

use super::progress::Progress;
use super::scanning::{leaks_of, refuse, refuse_leaks};
use super::{Fault, complain, say};
use crate::config::Config;
use crate::store::cassettes::{self, Cassettes};
use crate::store::journal::Journal;
use crate::store::people_key;
use crate::store::takes::{Take, Takes};
use crate::tape::cassette::Cassette;
use crate::tape::exchange::{Exchange, Taped};
use crate::tape::learning::Learner;
use crate::tape::matching::Rules;
use crate::tape::people::People;
use crate::tape::row_set::RowSet;
use crate::tape::scribe;
use crate::tape::stand_ins::StandIns;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Seals a take, unless there is nothing in it, or the recording failed and a cassette of that name stands; and says
/// what came of it.
pub(super) fn seal_take(
    store: &dyn Takes,
    take: u64,
    cassettes: &Cassettes,
    name: &str,
    failed: bool,
    seal: &Seal<'_>,
) -> Result<String, Fault> {
    let order = match store.order(take) {
        // One whose disk is full gives back what it holds when it is opened anew.
        Err(why) if failed => return Ok(format!("{name} was not written, since {why}; {}", kept(store, take, name)?)),
        read => read?,
    };
    if order.is_empty() {
        store.remove(take)?;
        let as_it_was = if cassettes.contains(name)? {
            format!("{name} stays as it was")
        } else {
            "no cassette was written".to_owned()
        };
        // What failed is told elsewhere; where nothing did, nothing came.
        let hint = if failed { "" } else { " (did the program go through the proxy?)" };
        return Ok(format!("nothing was recorded, so {as_it_was}{hint}"));
    }
    if failed && cassettes.contains(name)? {
        let kept = kept(store, take, name)?;
        return Ok(format!("the recording failed, so {name} stays as it was; {kept}"));
    }
    let number = order.len() as u64;
    let replaced = cassettes.count(name).map(|old| format!(", in place of {old}")).unwrap_or_default();
    let path = if seal.people.is_some() {
        // Who somebody is may be told by a later exchange, so all of them are looked at together.
        let cassette = seal.cassette(store.read(take)?);
        let path = cassettes.path(name)?;
        refuse_leaks(&path, &cassette, seal.rules.secrets())?;
        // What cannot be read again must not take the place of the take.
        Cassette::parse(&cassette.print()).map_err(|source| cassettes::Fault::Damaged { path, source })?;
        cassettes.write(name, &cassette)?
    } else {
        seal.write(store, take, &order, cassettes, name)?
    };
    if let Err(why) = store.remove(take) {
        // What is sealed is safe; the take that stays only takes room.
        complain(format!("{why}. Take {take} of {name} stays there, though it is sealed"));
    }
    let incomplete = if failed { "; the recording failed, so it may be incomplete" } else { "" };
    Ok(format!("recorded {} to {}{replaced}{incomplete}", count(number), path.display()))
}

/// How a take becomes a cassette.
pub(super) struct Seal<'a> {
    pub(super) rules: &'a Rules,
    /// Who was met, where stand-ins take the place of people.
    pub(super) people: Option<&'a Mutex<People>>,
    /// Whether the recorded ids are written.
    pub(super) keep_ids: bool,
}

impl Seal<'_> {
    /// Exchanges as a cassette: by the rules of today, whatever those were by which they were recorded, and with
    /// stand-ins also for who was named only later.
    pub(super) fn cassette(&self, exchanges: Vec<Taped<Exchange>>) -> Cassette {
        let retaped = exchanges.into_iter().map(|one| scribe::tape_exchange(one.into_inner(), self.rules.secrets()));
        let mut exchanges: Vec<_> = retaped.collect();
        if let Some(people) = self.people {
            exchanges = people.lock().unwrap_or_else(PoisonError::into_inner).hide_all(exchanges);
        }
        let mut cassette = scribe::seal(&exchanges, self.rules.ids());
        if !self.keep_ids {
            cassette.ids = cassette.ids.without_recorded();
        }
        cassette
    }

    /// Writes a take as a cassette, one exchange in memory at a time: once to learn their ids, once to write them.
    fn write(
        &self,
        store: &dyn Takes,
        take: u64,
        order: &[u64],
        cassettes: &Cassettes,
        name: &str,
    ) -> Result<PathBuf, Fault> {
        let secrets = self.rules.secrets();
        let taped =
            |number: &u64| Ok::<_, Fault>(scribe::tape_exchange(store.exchange(take, *number)?.into_inner(), secrets));
        let mut learner = Learner::new(self.rules.ids().clone());
        let progress = Progress::of(&format!("learning the ids of {name}"), order.len());
        for number in order {
            let exchange = taped(number)?;
            learner.study(&exchange);
            progress.step();
        }
        let ids = learner.ids();
        let (path, progress) = (cassettes.path(name)?, Progress::of(&format!("writing {name}"), order.len()));
        let (mut writing, mut named, mut leaks) = (cassettes.begin(name)?, RowSet::default(), Vec::new());
        for (number, exchange) in (1..).zip(order) {
            let entry = scribe::entry(&taped(exchange)?, &ids);
            // What cannot be read again must not take the place of the take.
            let damaged = |source| cassettes::Fault::Damaged { path: path.clone(), source };
            named.extend(scribe::rows(&entry, &ids, number).map_err(damaged)?);
            leaks.extend(leaks_of(&path, number, &entry, &ids, false, secrets)?);
            writing.add(&entry)?;
            progress.step();
        }
        refuse(&path, &leaks)?;
        let ids = ids.only(&named);
        Ok(writing.finish(&if self.keep_ids { ids } else { ids.without_recorded() }, false)?)
    }
}

/// Exchanges that were read from a store or a file, as a cassette.
pub(super) fn as_cassette(exchanges: Vec<Taped<Exchange>>, config: &Config) -> Result<Cassette, Fault> {
    let people = people(config)?;
    Ok(Seal { rules: &config.rules, people: people.as_deref(), keep_ids: true }.cassette(exchanges))
}

/// Nobody met yet, where config says that stand-ins take the place of people.
pub(super) fn people(config: &Config) -> Result<Option<Arc<Mutex<People>>>, Fault> {
    if !config.rules.ids().people {
        return Ok(None);
    }
    let path = people_key::path(&config.store);
    let (key, made) = people_key::open(&config.store).map_err(|source| Fault::File {
        path: path.clone(),
        what: "used as the key of stand-ins",
        source,
    })?;
    if made {
        let path = path.display();
        say(format!(
            "made {path}, the key of the stand-ins for people: keep it, so that these stay the same, and keep it out of repositories"
        ));
    }
    Ok(Some(Arc::new(Mutex::new(People::new(key)))))
}

/// The key of stand-ins, if there is one: by it a replay knows who is who.
pub(super) fn stand_ins(config: &Config) -> Result<Option<StandIns>, Fault> {
    let path = people_key::path(&config.store);
    people_key::find(&config.store).map_err(|source| Fault::File { path, what: "used as the key of stand-ins", source })
}

/// How many exchanges a take has.
pub(super) fn exchanges_of(store: &dyn Takes, take: u64) -> Result<u64, Fault> {
    Ok(store.takes()?.iter().find(|found| found.id == take).map_or(0, |found| found.exchanges))
}

/// The take that a recording continues: an interrupted one that is not in use and was begun beside the cassette as it
/// is now, or a new one that begins with what is sealed.
pub(super) fn resume(
    store: &dyn Takes,
    cassettes: &Cassettes,
    name: &str,
    now: u64,
    people: Option<&Mutex<People>>,
    in_use: impl Fn(u64) -> bool,
) -> Result<u64, Fault> {
    let beside = cassettes.digest(name)?;
    let of_name = |take: &Take| take.cassette == name && take.exchanges > 0 && !in_use(take.id);
    for take in store.takes()?.into_iter().rev().filter(of_name) {
        let Take { id, exchanges, .. } = take;
        if exchanges == take.copied {
            // It has nothing but a copy of what was sealed.
            store.remove(id)?;
        } else if take.beside == beside {
            say(format!("continuing the interrupted take {id} of {name}, which has {}", count(exchanges)));
            return Ok(id);
        } else {
            say(format!(
                "take {id} of {name} is not continued, since {name} has changed after it: graphdeck cassette export {name} --take {id}"
            ));
        }
    }
    if beside.is_none() {
        return Ok(store.begin(name, now)?);
    }
    let cassette = cassettes.load(name)?;
    let path = cassettes.path(name)?;
    let exchanges = (1..).zip(&cassette.entries).map(|(number, entry)| {
        scribe::recorded(entry, &cassette.ids, number)
            .map_err(|source| cassettes::Fault::Damaged { path: path.clone(), source })
    });
    let mut exchanges: Vec<_> = exchanges.collect::<Result<_, _>>()?;
    match people {
        Some(people) => exchanges = people.lock().unwrap_or_else(PoisonError::into_inner).hide_all(exchanges),
        None if cassette.people => {
            let why =
                format!("{name} is pseudonymous, and would not be after this: set people = \"pseudonym\" in [redact]");
            return Err(Fault::Flag { flag: "--append", why });
        }
        None => {}
    }
    let take = store.begin_with(name, now, beside, &exchanges)?;
    say(format!("continuing {name}, which has {}", count(exchanges.len() as u64)));
    Ok(take)
}

/// Removes a take of a run that did not come to begin, unless there is more in it than is sealed.
pub(super) fn discard(store: &dyn Takes, take: u64) -> Result<(), Fault> {
    if adds_nothing(store, take)? { Ok(store.remove(take)?) } else { Ok(()) }
}

/// Whether a take has nothing but what was sealed when it was begun.
pub(super) fn adds_nothing(store: &dyn Takes, take: u64) -> Result<bool, Fault> {
    Ok(store.takes()?.iter().find(|found| found.id == take).is_none_or(|found| found.exchanges == found.copied))
}

/// Where a take is kept that was not sealed.
pub(super) fn kept(store: &dyn Takes, take: u64, name: &str) -> Result<String, Fault> {
    if adds_nothing(store, take)? {
        store.remove(take)?;
        return Ok("nothing was recorded".to_owned());
    }
    let kept = count(exchanges_of(store, take)?);
    Ok(format!("this take is kept, with {kept}: graphdeck cassette export {name} --take {take}"))
}

/// A number of exchanges in words.
#[must_use]
pub(super) fn count(exchanges: u64) -> String {
    match exchanges {
        1 => "1 exchange".to_owned(),
        count => format!("{count} exchanges"),
    }
}

/// The last take of a cassette that was begun and never sealed, as a cassette.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn interrupted(config: &Config, name: &str) -> Result<Option<Cassette>, Fault> {
    let journal = Journal::open(&config.store)?;
    let last = journal.takes()?.into_iter().rfind(|take| take.cassette == name && take.exchanges > 0);
    Ok(match last {
        Some(take) => Some(as_cassette(journal.read(take.id)?, config)?),
        None => None,
    })
}

/// The cassette of that name, or where there is none the last take of it that was interrupted.
pub(super) fn load(cassettes: &Cassettes, config: &Config, name: &str) -> Result<Cassette, Fault> {
    if !cassettes.contains(name)? && Journal::exists(&config.store) {
        match interrupted(config, name) {
            Ok(Some(cassette)) => {
                let path = cassettes.path(name)?;
                say(format!("there is no {}: replaying an interrupted take, straight from the store", path.display()));
                return Ok(cassette);
            }
            Ok(None) => {}
            Err(fault) => say(format!("{fault}. It was not looked into for interrupted recordings")),
        }
    }
    Ok(cassettes.load(name)?)
}
