//! Which recorded exchange answers a request: by its shape, by the ids that are known, and then by recorded order.

use super::bindings::Bindings;
use super::bound_ids::Bound;
use super::id::Id;
use super::ids::Row;
use super::index::{Index, LITERAL, Slot};
use super::matching::{Reading, Shape, Token};
use super::shapes::Shapes;
use smallvec::SmallVec;

/// Something of each id of a request: of so many without memory of its own.
type Each<T> = SmallVec<[T; 4]>;

/// What the tape alone tells of a request, whatever a session has settled: looked up before the session is asked, so that
/// nobody has to wait for it.
#[derive(Debug)]
pub struct Sought<'a> {
    pub(super) reading: &'a Reading,
    /// The number of its shape with every place in it, or else of the one without those that are ignored.
    exact: Option<u32>,
    loose: Option<u32>,
    ids: Each<Known>,
}

/// What the tape alone tells of an id.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The row that it was sealed for.
    sealed: Option<Row>,
    /// What it is in a filling where it stands for nothing else: its recorded row, or the number of a literal.
    filled: Option<u32>,
}

/// The exchange that answers, and how its ids stand in the live request.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) exchange: u32,
    pub(super) standing: Each<Standing<'a>>,
    /// Whether a place had to be ignored.
    pub(super) ignored: bool,
    /// How often the exchange answered this very request.
    pub(super) plays: u32,
}

/// What stands for an id of an exchange.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    pub(super) row: Row,
    pub(super) token: &'a Token,
    /// Whether that is its recorded value, or its person.
    pub(super) is_recorded: bool,
}

/// A live request, what the tape tells of each of its ids, and the row that it stands for beyond doubt, if there is one.
#[derive(Clone, Copy)]
struct Settled<'a> {
    live: Shape<'a>,
    ids: &'a [Known],
    rows: &'a [Option<Row>],
}

/// The groups of one shape.
#[derive(Clone, Copy)]
struct Groups<'a> {
    shapes: &'a Shapes,
    shape: u32,
    /// Whether places are ignored in it.
    ignored: bool,
}

impl Groups<'_> {
    /// Whether any exchange of a group was played: they are played in order, so the first tells for all.
    fn is_begun(self, group: u32, bindings: &Bindings) -> bool {
        bindings.played(self.shapes.exchanges(group)[0]) > 0
    }
}

impl Index {
    /// What the tape alone tells of a request.
    #[must_use]
    pub fn seek<'a>(&self, reading: &'a Reading) -> Sought<'a> {
        let known = |token: &Token| {
            let literal = || self.literals.find(&token.id).map(|number| LITERAL | number);
            Known { sealed: self.unseal(&token.id), filled: self.recorded_row(&token.id).or_else(literal) }
        };
        let exact = self.exact.find(reading.exact().key);
        let loose = if exact.is_none() { self.loose.find(reading.loose().key) } else { None };
        Sought { reading, exact, loose, ids: reading.tokens().iter().map(known).collect() }
    }

    /// Finds the exchange that answers, preferring one for which no place is ignored.
    pub(super) fn choose<'a>(&self, sought: &Sought<'a>, bindings: &mut Bindings) -> Option<Choice<'a>> {
        let Sought { reading, exact, loose, .. } = *sought;
        if let Some(shape) = exact {
            let groups = Groups { shapes: &self.exact, shape, ignored: false };
            if let Some(choice) = self.choose_in(groups, reading.exact(), sought, bindings) {
                return Some(choice);
            }
        }
        let shape = loose.or_else(|| exact.and_then(|_| self.loose.find(reading.loose().key)))?;
        let groups = Groups { shapes: &self.loose, shape, ignored: true };
        self.choose_in(groups, reading.loose(), sought, bindings)
    }

    fn choose_in<'a>(
        &self,
        groups: Groups<'_>,
        live: Shape<'a>,
        sought: &Sought<'_>,
        bindings: &mut Bindings,
    ) -> Option<Choice<'a>> {
        let Groups { shapes, shape, ignored } = groups;
        // The ids of the loose shape come first.
        let ids = &sought.ids[..live.tokens.len()];
        let bound: Each<_> = live.tokens.iter().map(|token| bindings.bound(&token.id)).collect();
        let row = |(known, bound): (&Known, &Option<Bound>)| bound.map(|it| it.row).or(known.sealed);
        let rows: Each<_> = ids.iter().zip(&bound).map(row).collect();
        let settled = Settled { live, ids, rows: &rows };
        let group = Self::settled(groups, settled).or_else(|| self.nearest(groups, settled, bindings))?;
        let request = sought.reading.very_request();
        let plays =
            shapes.exchanges(group).iter().map(|&exchange| (exchange, bindings.plays(request, exchange, &bound)));
        // The first that did not answer it, or else the last.
        let mut last = None;
        for (exchange, plays) in plays {
            last = Some((exchange, plays));
            if plays == 0 {
                break;
            }
        }
        let (exchange, plays) = last?;
        let filled = shapes.filling(shape, group).iter().zip(live.tokens.iter().zip(ids));
        let standing = filled.filter(|(filled, _)| *filled & LITERAL == 0).map(|(row, (token, known))| Standing {
            row: *row,
            token,
            is_recorded: known.filled == Some(*row),
        });
        Some(Choice { exchange, standing: standing.collect(), ignored, plays })
    }

    /// The group for the ids as they are known so far, if there is one: found without a search.
    fn settled(groups: Groups<'_>, Settled { ids, rows, .. }: Settled<'_>) -> Option<u32> {
        let filled = |(known, row): (&Known, &Option<Row>)| row.or(known.filled);
        let filling: Each<u32> = ids.iter().zip(rows).map(filled).collect::<Option<_>>()?;
        groups.shapes.group(groups.shape, &filling)
    }

    /// The group that fits with the fewest new bindings; of equals one not yet played, then the first recorded.
    fn nearest(&self, groups: Groups<'_>, settled: Settled<'_>, bindings: &mut Bindings) -> Option<u32> {
        let all = groups.shapes.groups(groups.shape);
        if all.len() == 1 {
            return self.best(groups, all, settled).map(|(_, group)| group);
        }
        let shape = settled.live.key;
        let mut begun = u32::try_from(*bindings.begin(shape, groups.ignored)).unwrap_or(u32::MAX);
        while all.start + begun < all.end && groups.is_begun(all.start + begun, bindings) {
            begun += 1;
        }
        *bindings.begin(shape, groups.ignored) = begun as usize;
        let unplayed = (all.start + begun..all.end).filter(|group| !groups.is_begun(*group, bindings));
        let fresh = self.best(groups, unplayed, settled);
        if fresh.is_some_and(|(new, _)| new <= 1) {
            return fresh.map(|(_, group)| group);
        }
        let worn = self.best(groups, all.filter(|group| groups.is_begun(*group, bindings)), settled);
        match (fresh, worn) {
            (Some((new, fresh)), Some((least, _))) if new <= least => Some(fresh),
            (fresh, worn) => worn.or(fresh).map(|(_, group)| group),
        }
    }

    /// The first group that fits with the fewest new bindings. One is as few as there can be, since a group that needs
    /// none was looked up before: so the search seldom goes far.
    fn best(&self, groups: Groups<'_>, among: impl Iterator<Item = u32>, settled: Settled<'_>) -> Option<(usize, u32)> {
        let mut best: Option<(usize, u32)> = None;
        for group in among {
            let filling = groups.shapes.filling(groups.shape, group);
            let Some(new) = self.fit(filling, settled) else { continue };
            if best.is_none_or(|(least, _)| new < least) {
                best = Some((new, group));
            }
            if new <= 1 {
                break;
            }
        }
        best
    }

    /// The number of new bindings by which live ids fill the blanks, or `None` when they cannot.
    fn fit(&self, filling: &[u32], Settled { live, ids, rows }: Settled<'_>) -> Option<usize> {
        let mut new = 0;
        for ((filled, token), (known, settled)) in filling.iter().zip(live.tokens).zip(ids.iter().zip(rows)) {
            new += usize::from(self.fills(&self.slot(*filled), &token.id, known.filled, *settled)?);
        }
        Some(new)
    }

    /// Whether a live id, which was `recorded` for a row and stands for one or for none yet, can fill a slot, and if so
    /// whether that binds it anew.
    pub(super) fn fills(&self, slot: &Slot, live: &Id, recorded: Option<Row>, settled: Option<Row>) -> Option<bool> {
        match slot {
            Slot::Literal(id) => (id == live).then_some(false),
            Slot::Id(row) => match settled {
                Some(settled) => (settled == *row).then_some(false),
                None if recorded == Some(*row) => Some(false),
                None if self.is_foreign(*row, live) => None,
                None => Some(true),
            },
        }
    }

    /// The row whose recorded value a live id is, or whose person.
    pub(super) fn recorded_row(&self, live: &Id) -> Option<Row> {
        self.ids.find(live).or_else(|| self.ids.find(&self.rules.stand_in(live)?))
    }

    /// Whether a live id is the recorded value of a row, or its person.
    pub(super) fn is_recorded(&self, row: Row, live: &Id) -> bool {
        match self.rules.stand_in(live) {
            None => self.ids.is(row, live),
            Some(_) => self.recorded_row(live) == Some(row),
        }
    }

    /// The row that a live id stands for beyond doubt: it was bound, or sealed by this deck's mint.
    pub(super) fn settled_row(&self, live: &Id, bindings: &Bindings) -> Option<Row> {
        bindings.row(live).or_else(|| self.unseal(live))
    }

    /// The row that a live id was sealed for.
    pub(super) fn unseal(&self, live: &Id) -> Option<Row> {
        let Id::Guid(guid) = live else { return None };
        self.mint.unseal(*guid).filter(|&row| (row as usize) < self.ids.len())
    }

    /// Whether an id was sealed by another mint: another seed, or another cassette.
    pub(super) fn is_foreign(&self, row: Row, live: &Id) -> bool {
        self.minter(row).is_some() && matches!(live, Id::Guid(guid) if guid.is_version_8())
    }
}
