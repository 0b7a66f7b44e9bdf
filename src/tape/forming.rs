//! A form is made of an exchange.
//!
//! With a character in the stead of each text that may be another, the exchange goes the way that all go: wherever the
//! character comes out, the text does. Where anything could make that untrue there is no form: the texts are such that
//! nothing looks into them, the ids are GUIDs, and the rules say the same of all that differ by GUIDs. What comes of it is
//! held against what came of the exchange itself.

use super::adapting::{self, Waits};
use super::address::Address;
use super::compact;
use super::cutting::{self, Cut};
use super::echo::{self, Stated};
use super::form::{Form, Hearing, Keyed, Known, Layout, Marks, Rows, Spot, Text};
use super::graph;
use super::guid;
use super::ids::Row;
use super::index::Slot;
use super::leaf::Leaf;
use super::matching::{self, Applied, Rules, Varying};
use super::pattern::{DIGITS, MOST_ROWS, Pattern, ROWS, TOOK, stand_in, stood_for, whole};
use super::played::Played;
use super::prepared::{Ground, Prepared, prepared};
use super::scribe;
use super::script::Fields;
use super::statements::Statements;
use super::streaming;
use super::template::Template;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// The form of an exchange, by its text and what it was prepared to; none where others are not known by it.
pub(super) fn of(text: &str, original: &Prepared, waits: Waits, ground: &Ground) -> Option<Arc<Form>> {
    let cut = cutting::cut(text)?;
    let mut blanks = Blanks::default();
    let layout = blanks.layout(&cut, ground)?;
    let marked = Marked::of(&blanks, waits, ground)?;
    let form = Arc::new(blanks.form(layout, marked, ground)?);
    let filling = form.fits(text.as_bytes(), ground)?;
    let known = Form::known(&form, &filling, &ground.ids, !original.marks.is_empty());
    agrees(&known, original, ground).then_some(form)
}

/// What of an exchange has which number.
#[derive(Default)]
struct Blanks<'t> {
    texts: Vec<(&'t str, bool)>,
    rows: Vec<(&'t str, &'t str)>,
    /// The rows of the request's placeholders.
    named: Vec<u16>,
    marked: String,
    /// The same, with one in the stead of the number of each placeholder too, as a request is kept.
    kept: String,
}

impl<'t> Blanks<'t> {
    /// The layout of the exchange. What is alike has one number; what is asked and may be an id or a secret stays.
    fn layout(&mut self, cut: &Cut<'t>, ground: &Ground) -> Option<Layout> {
        let (mut layout, mut from) = (Layout::default(), 0);
        for part in &cut.parts {
            self.same(part.before, &mut layout);
            let spot = match part.spot {
                cutting::Spot::Text(text)
                    if part.asked && !cutting::says_nothing(text.as_bytes(), ground.rules.secrets()) =>
                {
                    self.same(text, &mut layout);
                    continue;
                }
                cutting::Spot::Text(text) => {
                    let number = self.text(text, part.asked)?;
                    self.marked.push(stand_in(number));
                    self.kept.push(stand_in(number));
                    Spot::Text(number)
                }
                cutting::Spot::Row(name, digits) => {
                    let number = self.row(name, digits, part.asked)?;
                    self.marked.push_str(digits);
                    self.kept.push(stand_in(DIGITS + number));
                    Spot::Row(number)
                }
                cutting::Spot::Took(digits) => {
                    self.marked.push_str(digits);
                    self.kept.push_str(digits);
                    Spot::Took
                }
            };
            layout.parts.push((from..layout.text.len(), spot));
            from = layout.text.len();
        }
        self.same(cut.end, &mut layout);
        Some(layout)
    }

    /// Adds what is the same in all.
    fn same(&mut self, text: &str, layout: &mut Layout) {
        [&mut self.marked, &mut self.kept, &mut layout.text].into_iter().for_each(|to| to.push_str(text));
    }

    fn text(&mut self, text: &'t str, asked: bool) -> Option<u16> {
        let at = self.texts.iter().position(|(known, _)| *known == text).unwrap_or_else(|| {
            self.texts.push((text, false));
            self.texts.len() - 1
        });
        self.texts[at].1 |= asked;
        u16::try_from(at).ok()
    }

    fn row(&mut self, name: &'t str, digits: &'t str, asked: bool) -> Option<u16> {
        let at = self.rows.iter().position(|known| *known == (name, digits)).unwrap_or_else(|| {
            self.rows.push((name, digits));
            self.rows.len() - 1
        });
        let number = u16::try_from(at).ok().filter(|number| *number < MOST_ROWS)?;
        self.named.extend(asked.then_some(number));
        Some(number)
    }

    /// The form of the exchange that was marked.
    fn form(self, layout: Layout, marked: Marked, ground: &Ground) -> Option<Form> {
        let ids = &ground.ids;
        let rows = self.rows.iter().map(|(name, digits)| ids.row_of(name, digits.parse().ok()?));
        let rows: Vec<Row> = rows.collect::<Option<_>>()?;
        let Marked { mut prepared, request, keyed } = marked;
        let foreign = echoed(&mut prepared, ground)?;
        let own = prepared.varying.iter().map(own_text).collect::<Option<Vec<_>>>()?;
        let filling = numbers(&prepared.filling, &rows)?;
        let (compared, traits, address) = (prepared.compared, prepared.traits, prepared.address);
        let Packed { packed, shown, stated } = Packed::of(prepared, &request, &rows, &filling)?;
        let named = rows.iter().zip(self.rows);
        let rows = named.map(|(row, (name, _))| Some(Rows { name: name.to_owned(), upper: ids.is_upper(*row)? }));
        let text = |(first, asked): (&str, bool)| Text { asked, first: first.as_bytes().into() };
        Some(Form {
            layout,
            texts: self.texts.into_iter().map(text).collect(),
            rows: rows.collect::<Option<_>>()?,
            apart: own.into_iter().flatten().collect(),
            loose: Keyed::of(keyed.loose),
            exact: keyed.exact,
            marks: keyed.marks,
            packed,
            named: self.named,
            filling,
            compared,
            shown,
            traits,
            address,
            stated,
            foreign,
            hearing: Hearing::default(),
        })
    }
}

/// What an exchange is packed to, with numbers in the stead of its rows.
struct Packed {
    packed: Pattern,
    shown: Vec<u16>,
    stated: Stated<Template<Row>>,
}

impl Packed {
    /// Of one that was prepared, whose request is kept so; none where it has a row that is not among these.
    fn of(prepared: Prepared, request: &str, rows: &[Row], filling: &[u16]) -> Option<Self> {
        let is_lost = Cell::new(false);
        let number = |row: Row| {
            let found = rows.iter().position(|known| *known == row).and_then(|found| Row::try_from(found).ok());
            is_lost.set(is_lost.get() || found.is_none());
            found.unwrap_or_default()
        };
        let shown = prepared.script.rows().map(|row| u16::try_from(number(row)).ok()).collect::<Option<_>>()?;
        let stated = echo::with_rows(prepared.stated, number);
        let (took, key) = (prepared.took.map(|_| TOOK), prepared.loose);
        let compared: Vec<Row> = filling[..prepared.compared].iter().map(|number| ROWS + Row::from(*number)).collect();
        let script = prepared.script.with_rows(|row| ROWS + number(row));
        let far = echo::with_rows(stated.clone(), |row| ROWS + row);
        // As they stand in `Played`, behind its marks.
        let mut packed = Pattern::default();
        packed.text(request);
        packed.add(&(took, key, compared, script, prepared.varying, far));
        let packed = packed.with_key(key)?;
        (!is_lost.get()).then_some(Self { packed, shown, stated })
    }
}

/// An exchange with a character in the stead of each text that may be another.
struct Marked {
    prepared: Prepared,
    /// Its request as it is kept.
    request: String,
    keyed: Keys,
}

impl Marked {
    fn of(blanks: &Blanks<'_>, waits: Waits, ground: &Ground) -> Option<Self> {
        let (_, request) = streaming::entry(blanks.kept.as_bytes()).ok()?;
        let request = String::from_utf8(compact::unindented(request)).ok()?;
        if names_an_id(&request) {
            return None;
        }
        let (mut entry, _) = streaming::entry(blanks.marked.as_bytes()).ok()?;
        adapting::adapt(std::slice::from_mut(&mut entry), waits);
        let read = scribe::read(&entry, &ground.ids, 1, &mut Fields::default()).ok()?;
        // What is taken out of one need not be in another.
        if matches!(ground.rules.secrets().without(&read.request.body), Cow::Owned(_)) {
            return None;
        }
        let mut keyed = None;
        let file = |leaves: Vec<Leaf<'_>>, applied: &Applied<'_>| {
            keyed = Keys::of(&leaves, applied, &ground.rules);
            (Address::of(&leaves), Box::default(), Vec::new())
        };
        let prepared = prepared(ground, read, &entry, Vec::new(), |_| true, file);
        Some(Self { prepared, request, keyed: keyed? })
    }
}

/// Whether an id may stand in a request that is no placeholder: it may be the same one as that of a placeholder, or not.
fn names_an_id(request: &str) -> bool {
    let decoded = |part| graph::percent_decode(part);
    let mut parts = request.split(['/', '?', '&', '=', '"']).map(decoded);
    let has_one = |text: &str| guid::tokens(text).next().is_some();
    // Escapes may hide what it is.
    request.contains('\\') || has_one(request) || parts.any(|part| has_one(&part))
}

/// What the keys of a request are made of.
struct Keys {
    loose: Pattern,
    exact: Option<Pattern>,
    marks: Marks,
}

impl Keys {
    /// Of a request that was walked; none where something looks into a text, or puts what has it in order.
    fn of(leaves: &[Leaf<'_>], applied: &Applied<'_>, rules: &Rules) -> Option<Self> {
        let (mut loose, mut exact, mut marks) = (Pattern::default(), Pattern::default(), Marks::default());
        exact.key();
        let mut has_ignored = false;
        for (leaf, is_ignored, mut bytes) in matching::keyed(leaves, applied, rules) {
            has_ignored |= is_ignored;
            let pattern = if is_ignored { &mut exact } else { &mut loose };
            let Some(number) = whole(&leaf.text) else {
                if leaf.text.chars().any(|c| stood_for(c).is_some()) {
                    return None;
                }
                pattern.raw(&bytes);
                if !is_ignored {
                    marks.fixed.extend(matching::marks(std::slice::from_ref(leaf), rules, &[]));
                }
                continue;
            };
            let mut part = Vec::new();
            matching::part(&mut part, leaf.text.as_bytes());
            bytes.truncate(bytes.strip_suffix(&*part)?.len());
            pattern.raw(&bytes);
            pattern.part(number);
            if !is_ignored {
                marks.texts.push((bytes, number));
            }
        }
        let exact = has_ignored.then_some(exact);
        (!applied.view.unordered).then_some(Self { loose, exact, marks })
    }
}

/// Puts what an answer repeats of its own request where it stands, and tells the names of all else that it shows; none where
/// it shows something else by a name of which the request says something: that may be what an earlier one said.
fn echoed(prepared: &mut Prepared, ground: &Ground) -> Option<Vec<SmolStr>> {
    let Prepared { answer, varying, .. } = &*prepared;
    let shown = echo::shown(answer);
    let values: Vec<_> = shown.values().map(|(name, range)| (name.clone(), range.clone())).collect();
    let echoes = echo::echoes(&mut Statements::default(), answer, varying, || shown, |text| ground.template(text));
    let is_own = |range: &Range<usize>| echoes.iter().any(|(own, _)| own == range);
    let mut foreign: Vec<SmolStr> =
        values.into_iter().filter(|(_, range)| !is_own(range)).map(|(name, _)| name).collect();
    foreign.sort_unstable();
    foreign.dedup();
    let stated = varying.iter().filter_map(|varying| echo::member(&varying.place));
    let is_apart = stated.into_iter().all(|name| foreign.iter().all(|other| *other != name));
    prepared.script.echo(echoes, &ground.ids);
    is_apart.then_some(foreign)
}

/// The number of the text that stands at a place that may vary, if one does; none at all where it is a part of one.
fn own_text(varying: &Varying) -> Option<Option<u16>> {
    let literal = &varying.literal;
    match literal.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => whole(text).map(Some),
        None => literal.chars().all(|c| stood_for(c).is_none()).then_some(None),
    }
}

/// The numbers of the rows that fill the blanks of a request; none where something else does.
fn numbers(filling: &[Slot], rows: &[Row]) -> Option<Vec<u16>> {
    let number = |slot: &Slot| match slot {
        Slot::Id(row) => u16::try_from(rows.iter().position(|known| known == row)?).ok(),
        Slot::Literal(_) => None,
    };
    filling.iter().map(number).collect()
}

/// Whether an exchange that is known is what it was prepared to, if no earlier request said what it shows.
pub(super) fn agrees(known: &Known, original: &Prepared, ground: &Ground) -> bool {
    let Prepared { answer, varying, .. } = original;
    let form = &known.form;
    let mut script = original.script.clone();
    let shown: Vec<Row> = script.rows().collect();
    let echoes =
        echo::echoes(&mut Statements::default(), answer, varying, || echo::shown(answer), |text| ground.template(text));
    script.echo(echoes, &ground.ids);
    let Some(filling) = numbers(&original.filling, &known.rows) else { return false };
    let loose_filling = known.rows(&filling[..original.compared]).collect();
    let played = Played {
        marks: original.marks.clone(),
        script,
        took: original.took,
        stated: original.stated.clone(),
        loose_key: original.loose,
        loose_filling,
        varying: varying.clone(),
        request: original.request.clone(),
    };
    let mut packed = Vec::new();
    played.pack(&mut packed);
    packed == known.packed
        && (known.exact, known.loose, form.address, form.traits)
            == (original.exact, original.loose, original.address, original.traits)
        && known.rows(&form.filling).eq(known.rows(&filling))
        && form.compared == original.compared
        && known.rows(&form.shown).eq(shown)
        && known.rows(&form.named).collect::<BTreeSet<_>>() == original.named.iter().copied().collect()
        && known.states == original.states
}

#[cfg(test)]
mod tests {
    use crate::tape::adapting::Waits;
    use crate::tape::cassette::Cassette;
    use crate::tape::compiling::Compiler;
    use crate::tape::matching::Rules;
    use crate::tape::mint::Mint;
    use crate::tape::played::Exchanges;
    use crate::tape::preparing::{Ground, Preparer, Ready, Unread};
    use crate::tape::route::Route;
    use crate::tape::rules::Rule;
    use crate::tape::secrets::{Changes, Secrets};
    use crate::tape::streaming::Stream;
    use crate::tape::walk::{IdPlaces, PlacePattern};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn rules() -> Rules {
        let ignore = ["json:/lastReportedDateTime", "json:/value/*/at"];
        let ignore = ignore.map(|text| PlacePattern::parse(text).unwrap()).into();
        Rules::new(vec![Rule { ignore, ..Rule::of(Route::parse("* /**").unwrap()) }], IdPlaces::default())
    }

    /// The bytes of each exchange and of the tables of an index, or the fault; and how many were known by their forms. Several
    /// prepare in turn, as threads do.
    fn compiled(text: &str, rules: &Rules, preparers: usize) -> (Result<Vec<Vec<u8>>, String>, usize) {
        let Ok((mut stream, ids)) = Stream::open(text.as_bytes()) else { panic!("{text}") };
        let ground = Arc::new(Ground::new(ids, stream.people(), rules.clone()));
        let preparer = || Preparer::new(Arc::clone(&ground));
        let (mut late, mut preparers): (_, Vec<_>) = (preparer(), (0..preparers).map(|_| preparer()).collect());
        let (mut compiler, mut known, mut all) = (Compiler::for_playing(Arc::clone(&ground), 4), 0, Vec::new());
        let mut number = 0;
        let mut add = |text: &[u8]| -> Result<(), Unread> {
            number += 1;
            let mut packed = Vec::new();
            if preparers.is_empty() {
                compiler.add(late.prepare_text(text, Waits::Zero, number)?).pack(&mut packed);
            } else {
                let at = number % preparers.len();
                let ready = preparers[at].ready(text, Waits::Zero, number)?;
                known += usize::from(matches!(ready, Ready::Known(_)));
                compiler.pack(ready, &mut packed, |number| late.prepare_text(text, Waits::Zero, number))?;
            }
            all.push(packed);
            Ok(())
        };
        while let Some(text) = stream.next_text().unwrap() {
            if let Err(fault) = add(text) {
                return (Err(format!("{fault:?}")), known);
            }
        }
        let index = compiler.done(Exchanges::default(), Mint::new("", &[0; 32]));
        let tables = index.map_err(|fault| fault.to_string()).map(|index| {
            let mut tables = Vec::new();
            index.pack(&mut tables).unwrap();
            tables
        });
        (tables.map(|tables| all.into_iter().chain([tables]).collect()), known)
    }

    /// How many exchanges were known by their forms; what comes of them is what would have come of them without.
    fn known(text: &str, rules: &Rules) -> usize {
        let (expected, _) = compiled(text, rules, 0);
        let (two, _) = compiled(text, rules, 2);
        assert!(two == expected, "{text}");
        let (one, known) = compiled(text, rules, 1);
        assert!(one == expected, "{text}");
        known
    }

    const IDS: [(&str, &str); 7] = [
        ("a.1", "0385114b-b48f-4800-a046-f249eaba24b1"),
        ("a.2", "72889532-1029-4901-91f0-05454c445d59"),
        ("a.3", "7e323db2-3db2-7e32-b23d-327eb23d327e"),
        ("a.4", "AE323DB2-3DB2-7E32-B23D-327EB23D327A"),
        ("b.1", "11111111-2222-4333-8444-555555555555"),
        ("b.2", "c9ed9924-11bb-4661-be8a-b77b015f9cef"),
        ("b.3", "faf7e95b-9ae8-4ec2-9fe0-194ab8805294"),
    ];

    /// A cassette of these exchanges, with the ids that they name, as it is written or on one line each.
    fn cassette(exchanges: &[String], written: bool, more: &str) -> String {
        let all = exchanges.join(",\n");
        let ids = IDS.into_iter().filter(|(name, _)| all.contains(&format!("{{{{{name}")));
        let ids = ids.map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect::<Vec<_>>().join(",");
        let comma = if ids.is_empty() || more.is_empty() { "" } else { "," };
        let text = format!("{{\"graphdeck\":1,\"ids\":{{{ids}{comma}{more}}},\"exchanges\":[{all}]}}");
        if written { Cassette::parse(&text).unwrap().print() } else { text }
    }

    /// An exchange of some kind.
    fn exchange(kind: usize, ids: [&str; 2], texts: [&str; 2], times: [&str; 2], took: &str) -> String {
        let fill = |model: &str| {
            let [a, b] = ids.map(|id| format!("{{{{{id}}}}}"));
            let upper = format!("{{{{{}|upper}}}}", ids[1]);
            let said = r#""name":"<name>","n":12,"other":"<other>","lastReportedDateTime":"<time>""#;
            let model = model.replace("<said>", said).replace("<shown>", &said.replace("<time>", "<later>"));
            let model = model.replace("<a>", &a).replace("<b>", &b).replace("<B>", &upper);
            let model = model.replace("<name>", texts[0]).replace("<other>", texts[1]);
            model.replace("<time>", times[0]).replace("<later>", times[1])
        };
        let (method, url, said, status, location, shown) = KINDS[kind];
        let body = |body: &str| if body.is_empty() { String::new() } else { format!(r#","body":{{"json":{body}}}"#) };
        let took = if took.is_empty() { String::new() } else { format!(r#","took":{took}"#) };
        let exchange = format!(
            r#"{{"request":{{"method":"{method}","url":"https://h/beta/{url}","headers":{{"content-type":"application/json"}}{}}},"response":{{"status":{status},"headers":{{"location":"{location}"}}{}}}{took}}}"#,
            body(said),
            body(shown)
        );
        fill(&exchange)
    }

    /// What is asked, and with which body; what is answered, with which header and body.
    const KINDS: [(&str, &str, &str, u16, &str, &str); 6] = [
        ("POST", "c/<a>/userStatuses", "{<said>}", 201, "/x('<b>')", r#"{"id":"<b>",<shown>}"#),
        ("GET", "c/<a>/userStatuses/<b>?$top=5", "", 200, "x", r#"{"id":"<b>",<shown>}"#),
        ("GET", "c/<a>/userStatuses", "", 200, "x", r#"{"value":[{"id":"<b>",<shown>},{"id":"<other>"}]}"#),
        ("PATCH", "users('<B>')", r#"{"userId":"<a>","at":"<name>"}"#, 204, "x", ""),
        (
            "PUT",
            "<b>",
            r#"{"value":[{"at":"<time>"},{"at":"<later>"},"<name>"],"id":"<a>"}"#,
            200,
            "<b>",
            r#"{"id":"<a>_<b>","at":"<later>","x":"see <a>"}"#,
        ),
        (
            "POST",
            "b",
            r#"{"password":"REDACTED","x":["<name>","<a>"]}"#,
            200,
            "x",
            r#"{"x":{"y":"<name>"},"z":"<other><b>"}"#,
        ),
    ];

    const TEXTS: [&str; 22] = [
        "0385114B-b48f-4800-a046-f249eaba24b1",
        "7e323db2\\u002d3db2-7e32-b23d-327eb23d327e",
        "User 1",
        "User 2",
        "Zoë",
        "notApplicable",
        "compliant",
        "user0000001@contoso.com",
        "",
        "a\\\"b",
        "a\\u0041",
        "{{'{{'}}",
        "eyJhbGciOiJub25lIn0.eyJhbGciOiJub25lIn0.",
        "Bearer abcdefghijklmnopqrstuvwxyz",
        "password",
        "REDACTED",
        "AKIAABCDEFGHIJKLMNOP",
        "users/x",
        "x=('a')",
        "-----BEGIN PRIVATE KEY-----",
        "2017-01-01T00:00:17.7769392-08:00",
        "0a85114b-b48f-4800-a046-f249eaba24b1",
    ];
    const TIMES: [&str; 4] = ["2017-01-01T00:00:17Z", "2017-01-01T00:00:18Z", "t", "2017-01-01T00:00:17.7769392-08:00"];

    fn exchanges() -> impl Strategy<Value = Vec<String>> {
        let names = prop::sample::select(IDS.map(|(name, _)| name).to_vec());
        let texts =
            prop_oneof![3 => prop::sample::select(TEXTS[2..8].to_vec()), 1 => prop::sample::select(TEXTS.to_vec())];
        let times = (prop::sample::select(TIMES.to_vec()), prop::sample::select(TIMES.to_vec()), any::<bool>())
            .prop_map(|(time, later, same)| [time, if same { time } else { later }]);
        let took = prop::sample::select(vec!["", "7", "1200", "0"]);
        let one = (0..6usize, prop::array::uniform2(names), prop::array::uniform2(texts), times, took)
            .prop_map(|(kind, ids, texts, times, took)| exchange(kind, ids, texts, times, took));
        prop::collection::vec(one, 1..16)
    }

    proptest! {
        #[test]
        fn what_is_known_by_a_form_is_what_it_would_be_by_itself(exchanges in exchanges(), written: bool) {
            known(&cassette(&exchanges, written, ""), &rules());
        }
    }

    fn posts(count: usize, text: impl Fn(usize) -> String) -> Vec<String> {
        let ids = ["a.1", "a.2", "a.3"];
        (0..count).map(|n| exchange(0, [ids[n % 3], "b.2"], [&text(n), "x"], [TIMES[n % 2]; 2], "7")).collect()
    }

    #[test]
    fn exchanges_of_one_form_are_known_but_for_the_first() {
        for written in [true, false] {
            for (text, expected) in [("User", 8), ("Zoë", 8), ("see users/", 0), ("eyJhbGciOiJub25lIn0.aaaa.", 0)] {
                let posts = posts(9, |n| format!("{text}{n}"));
                assert_eq!(known(&cassette(&posts, written, ""), &rules()), expected, "{text}");
            }
        }
        let same = posts(9, |_| "eyJhbGciOiJub25lIn0.eyJhbGciOiJub25lIn0.a".to_owned());
        assert_eq!(known(&cassette(&same, true, ""), &rules()), 0, "a secret");
        let same = posts(9, |_| "a/b".to_owned());
        assert_eq!(known(&cassette(&same, true, ""), &rules()), 8, "what may be more than a word stays as it is");
    }

    #[test]
    fn where_rules_look_into_ids_or_ids_are_texts_nothing_is_known_by_its_form() {
        let posts = posts(3, |n| format!("User {n}"));
        let text = cassette(&posts, true, "");
        assert_eq!(known(&text, &rules()), 2);
        let changes = Changes { rules: vec![("own".into(), "User 2".into())], ..Changes::default() };
        assert_eq!(known(&text, &rules().with_secrets(Secrets::new(&changes).unwrap())), 0);
        let route = Rule::of(Route::parse("POST /c/0*/**").unwrap());
        assert_eq!(known(&text, &Rules::new(vec![route], IdPlaces::default())), 0);
        let unordered = Rule { unordered: Some(true), ..Rule::of(Route::parse("POST /**").unwrap()) };
        assert_eq!(known(&text, &Rules::new(vec![unordered], IdPlaces::default())), 0);
        let other = exchange(0, ["a.1", "z.1"], ["x", "y"], [TIMES[0]; 2], "");
        let text = cassette(&[posts, vec![other]].concat(), true, "\"z.1\":\"some.text\"");
        assert_eq!(known(&text, &rules()), 0);
    }

    #[test]
    fn an_id_that_is_no_placeholder_is_another_one_than_that_of_the_next_exchange() {
        for id in TEXTS[..2].iter().chain(&["see 7E323db2-3db2-7e32-b23d-327eb23d327e"]) {
            let posts = posts(4, |_| (*id).to_owned());
            assert_eq!(known(&cassette(&posts, true, ""), &rules()), 0, "{id}");
        }
        let encoded = posts(4, |_| "x".to_owned());
        let encoded =
            encoded.iter().map(|post| post.replace("/userStatuses\"", "?a='7e323db2%2D3db2-7e32-b23d-327eb23d327e'\""));
        assert_eq!(known(&cassette(&encoded.collect::<Vec<_>>(), true, ""), &rules()), 0);
    }

    #[test]
    fn what_repeats_an_earlier_statement_is_looked_at_by_itself() {
        let get = |n: usize| exchange(1, ["a.1", "b.2"], ["x", &format!("User {n}")], [TIMES[n % 2]; 2], "");
        let before: Vec<String> = (0..4).map(get).collect();
        let post = vec![exchange(0, ["a.1", "b.2"], ["x", "y"], [TIMES[0]; 2], "")];
        let all = cassette(&[before, post.clone(), (0..4).map(get).collect(), post].concat(), true, "");
        // One after the statement too, before anybody knows that it may repeat it; and the last.
        assert_eq!(known(&all, &rules()), 3 + 1 + 1);
    }

    #[test]
    fn where_no_exchange_is_like_another_few_forms_are_made() {
        let posts: Vec<String> =
            (0..3000).map(|n| posts(1, |_| "x".to_owned())[0].replace("\"n\":12", &format!("\"n\":{n}"))).collect();
        let text = cassette(&posts, true, "");
        let (_, known) = compiled(&text, &rules(), 1);
        assert_eq!(known, 0);
    }
}
