//! What can be said of a recorded exchange by itself.

use super::address::Address;
use super::cassette::Entry;
use super::echo::{self, Shown, Stated};
use super::exchange::Request;
use super::id::Id;
use super::ids::{Ids, Row};
use super::index::{CREATES, READS, Slot, TIMED};
use super::leaf::Leaf;
use super::matching::{Applied, Key, Reading, Rules, Varying};
use super::scribe::{self, Read};
use super::script::Script;
use super::template::Template;
use super::walk;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// What the exchanges of a cassette are compiled by: its ids, and the rules by which its requests are read.
#[derive(Clone, Debug)]
pub struct Ground {
    pub(super) ids: Ids,
    pub(super) rules: Rules,
}

impl Ground {
    /// The ground of a cassette with these ids; `people` is whether it is pseudonymous.
    #[must_use]
    pub fn new(ids: Ids, people: bool, rules: Rules) -> Self {
        Self { ids, rules: rules.for_people(people) }
    }

    /// The ids of the cassette.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Whether the cassette is pseudonymous.
    #[must_use]
    pub fn people(&self) -> bool {
        self.rules.ids().people
    }

    /// A text of the recording, with slots for its ids.
    pub(super) fn template(&self, text: &str) -> Template<Row> {
        if let Some(row) = self.ids.find(&Id::of(text)) {
            return Template::of_id(row);
        }
        let text = self.ids.to_tape(text);
        Template::parse(&text, |placeholder| self.ids.row(placeholder)).expect("what was written is read")
    }
}

/// An exchange that only its place among the others is still to be found for.
#[derive(Debug)]
pub struct Prepared {
    pub(super) script: Script,
    pub(super) took: Option<u64>,
    /// The ids that placeholders of its request name.
    pub(super) named: Vec<Row>,
    pub(super) exact: Key,
    pub(super) loose: Key,
    /// What fills the blanks of its exact shape, and how many of them are the loose one's.
    pub(super) filling: Vec<Slot>,
    pub(super) compared: usize,
    pub(super) varying: Vec<Varying>,
    pub(super) traits: u8,
    pub(super) address: Address,
    pub(super) marks: Box<[u32]>,
    /// Which rules of the user's own have something in it, and where, as far as that was not told before.
    pub(super) used: Vec<(usize, String)>,
    pub(super) answer: Bytes,
    /// The values that its answer shows, where they are known to be of use.
    pub(super) shown: Option<Shown>,
    pub(super) states: Vec<Key>,
    pub(super) stated: Stated<Template<Row>>,
    pub(super) request: Vec<u8>,
}

/// The address of an exchange, the marks of its request, and which rules of the user's own it is the first to show
/// something of.
pub(super) type Filed = (Address, Box<[u32]>, Vec<(usize, String)>);

/// What can be said of an exchange that was read; `with_shown` tells whether what its answer shows is of use, and `file` is
/// given the values of its request.
pub(super) fn prepared(
    ground: &Ground,
    read: Read,
    entry: &Entry,
    request_text: Vec<u8>,
    with_shown: impl FnOnce(&Reading) -> bool,
    file: impl FnOnce(Vec<Leaf<'_>>, &Applied<'_>) -> Filed,
) -> Prepared {
    let Ground { ids, rules } = ground;
    let answer = read.script.recorded_body(ids);
    let request = scribe::tape_request(read.request, rules.secrets());
    let applied = rules.applied(&request);
    let leaves = walk::leaves(&request, &applied.view);
    let reading = Reading::of_leaves(&leaves, &applied, rules, &[ids.lexicon()]);
    let filling = slots(&reading, ids);
    let mut script = read.script;
    script.respell(ids, &asked(&reading, &filling));
    let (address, marks, used) = file(leaves, &applied);
    let mut shown = with_shown(&reading).then(|| echo::shown(&answer));
    let id = shown.as_mut().and_then(|shown| shown.id.take());
    let stated = echo::stated(&request, id, &reading.varying);
    let compared = reading.loose().tokens.len();
    Prepared {
        traits: traits(&request, &script, entry),
        script,
        took: entry.took,
        named: read.rows,
        exact: reading.exact().key,
        loose: reading.loose().key,
        filling,
        compared,
        varying: Arc::unwrap_or_clone(reading.varying),
        address,
        marks,
        used,
        answer,
        shown,
        states: echo::keys(&stated),
        stated: echo::with_ids(stated, |text| ground.template(text)),
        request: request_text,
    }
}

/// What fills the blanks of a request's exact shape.
fn slots(reading: &Reading, ids: &Ids) -> Vec<Slot> {
    let slot = |id: &Id| ids.find(id).map_or_else(|| Slot::Literal(id.clone()), Slot::Id);
    reading.exact().tokens.iter().map(|token| slot(&token.id)).collect()
}

/// How a request spelled the ids in it.
fn asked<'r>(reading: &'r Reading, filling: &[Slot]) -> HashMap<Row, &'r str> {
    let tokens = reading.exact().tokens.iter().zip(filling);
    let spelled = tokens.filter_map(|(token, slot)| match slot {
        Slot::Id(row) => Some((*row, &*token.spelled)),
        Slot::Literal(_) => None,
    });
    spelled.collect()
}

fn traits(request: &Request, script: &Script, entry: &Entry) -> u8 {
    let creates = if request.method == "POST" && script.status() == 201 { CREATES } else { 0 };
    let reads = if matches!(request.method.as_str(), "GET" | "HEAD") { READS } else { 0 };
    let timed = if entry.took.is_some() { TIMED } else { 0 };
    creates | reads | timed
}
