//! Readings of requests that came before, but for their GUIDs: a program asks the same of one id after the other.
//!
//! A request that differs from one that was read by its GUIDs alone reads alike, with these GUIDs in it: this is what the
//! renaming law says of a reading. Where anything could make that untrue, nothing is kept and nothing recalled.

use super::exchange::{Request, Taped};
use super::guid;
use super::id::{Id, Written};
use super::matching::{Reading, Token, Varying};
use super::rules::Rules;
pub use super::skeleton::RawRequest;
use super::skeleton::Skeleton;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use twox_hash::XxHash64;

/// How many bytes all that is kept may take. When it would be more, all is forgotten, and what still comes kept anew.
const ROOM: usize = 16 * 1024 * 1024;
/// What is kept of a request besides its skeleton, in bytes, and about what for each of its ids, times and what varies.
const BESIDES: usize = 400;
const EACH: usize = 128;
/// How many requests that came once are known: when half of the room is taken, only what comes again is kept.
const SEEN: usize = 16 * 1024;

/// Readings by what a request is but for its GUIDs.
#[derive(Debug)]
pub struct ReadingCache {
    /// By chance, so that nobody can tell what would have the same hash; such requests are read anew in turn.
    seed: u64,
    /// Whether the rules say the same whatever GUIDs a request has.
    blind: OnceLock<bool>,
    room: usize,
    kept: RwLock<Kept>,
    /// The hashes of skeletons that came once, each at its place.
    seen: Mutex<Vec<u32>>,
}

#[derive(Debug, Default)]
struct Kept {
    patterns: HashMap<u64, Box<Pattern>>,
    bytes: usize,
}

/// What is known of all requests with one skeleton.
#[derive(Debug)]
struct Pattern {
    skeleton: Box<[u8]>,
    /// The reading of one of them.
    reading: Reading,
    /// For each id of the reading the number of its GUID in the skeleton.
    tokens: Box<[usize]>,
    times: Box<[Time]>,
}

/// What a time must be.
#[derive(Debug)]
enum Time {
    Same(Box<str>),
    /// Anything: it is what may vary, by its number.
    Varying(usize),
}

impl Default for ReadingCache {
    fn default() -> Self {
        Self::of(ROOM)
    }
}

impl ReadingCache {
    /// One of so many bytes.
    fn of(room: usize) -> Self {
        let seed = RandomState::new().hash_one(0);
        Self { seed, blind: OnceLock::new(), room, kept: RwLock::default(), seen: Mutex::default() }
    }

    /// The reading of a request, where it is one that came before but for its GUIDs, and for its times where these may vary.
    #[must_use]
    pub fn recall(&self, raw: &RawRequest<'_>, rules: &Rules) -> Option<Reading> {
        let skeleton = Skeleton::of(raw)?;
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let pattern = kept.patterns.get(&self.hash(&skeleton))?;
        (*pattern.skeleton == *skeleton.text).then(|| pattern.fill(&skeleton, rules)).flatten()
    }

    /// Keeps the reading of a request that may come again, where others can be known by it. Texts that are ids in the
    /// session, or in the cassette, must have been none when it was read.
    pub fn keep(&self, raw: &RawRequest<'_>, request: &Taped<Request>, reading: &Reading, rules: &Rules) {
        let Some(skeleton) = Skeleton::of(raw) else { return };
        if !self.blind.get_or_init(|| rules.are_blind_to_guids()) {
            return;
        }
        let hash = self.hash(&skeleton);
        let is_roomy = self.kept.read().unwrap_or_else(PoisonError::into_inner).bytes < self.room / 2;
        if !is_roomy && !self.came_before(hash) {
            return;
        }
        let Some(pattern) = Pattern::of(&skeleton, raw, request, reading, rules).map(Box::new) else { return };
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + pattern.bytes() > self.room {
            *kept = Kept::default();
        }
        kept.bytes += pattern.bytes();
        if let Some(replaced) = kept.patterns.insert(hash, pattern) {
            kept.bytes -= replaced.bytes();
        }
    }

    /// It need not be safe against craft: what has one hash takes one place, and is compared in full.
    fn hash(&self, skeleton: &Skeleton<'_>) -> u64 {
        XxHash64::oneshot(self.seed, &skeleton.text)
    }

    fn came_before(&self, hash: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_empty() {
            seen.resize(SEEN, 0);
        }
        let (place, mark) = (hash as usize % SEEN, (hash >> 32) as u32);
        std::mem::replace(&mut seen[place], mark) == mark
    }
}

impl Pattern {
    /// The pattern of a skeleton, if it has one that tells all.
    fn of(
        skeleton: &Skeleton<'_>,
        raw: &RawRequest<'_>,
        request: &Taped<Request>,
        reading: &Reading,
        rules: &Rules,
    ) -> Option<Self> {
        // Where secrets were taken out, it is another request.
        let changed = request.target != raw.target || request.body != raw.body || request.method != raw.method;
        // A GUID that is no id where it stands, as in the name of a member, is a part of what is compared.
        if changed || reading.occurrences != Some(skeleton.occurrences) {
            return None;
        }
        let number = |token: &Token| skeleton.guids.iter().position(|guid| Id::Guid(guid.value) == token.id);
        let tokens: Box<[usize]> = reading.tokens().iter().map(number).collect::<Option<_>>()?;
        let varying = &reading.varying;
        let fixed = varying.iter().all(|one| guid::tokens(&one.literal).next().is_none());
        if tokens.len() != skeleton.guids.len() || !fixed {
            return None;
        }
        let times = skeleton.times.iter().map(|time| Time::of(time, skeleton, varying)).collect::<Option<_>>()?;
        let pattern = Self { skeleton: (*skeleton.text).into(), reading: reading.clone(), tokens, times };
        // The way of all that follow must lead this one to where it is.
        let leads_here = reading.is_told_by_varying(rules) && pattern.fill(skeleton, rules).as_ref() == Some(reading);
        leads_here.then_some(pattern)
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        let parts = self.tokens.len() + self.times.len() + self.reading.varying.len();
        self.skeleton.len() + BESIDES + EACH * parts
    }

    /// The reading of the request with this skeleton.
    fn fill(&self, skeleton: &Skeleton<'_>, rules: &Rules) -> Option<Reading> {
        let token = |number: &usize| {
            let guid = &skeleton.guids[*number];
            Token { id: Id::Guid(guid.value), spelled: Written::of(guid.spelled) }
        };
        let mut varying = self.reading.varying.clone();
        for (time, said) in self.times.iter().zip(&skeleton.times) {
            match time {
                Time::Same(text) if **text == **said => {}
                Time::Same(_) => return None,
                Time::Varying(number) => {
                    let literal = &mut varying[*number].literal;
                    if literal[1..literal.len() - 1] != **said {
                        *literal = ["\"", said, "\""].concat();
                    }
                }
            }
        }
        Some(self.reading.with(self.tokens.iter().map(token).collect(), varying, rules))
    }
}

impl Time {
    /// What a time of a skeleton must be; `None` where it stands at several places.
    fn of(time: &str, skeleton: &Skeleton<'_>, varying: &[Varying]) -> Option<Self> {
        let is_it = |one: &Varying| one.literal.strip_prefix('"').and_then(|one| one.strip_suffix('"')) == Some(time);
        let once = skeleton.times.iter().filter(|other| **other == time).count() == 1;
        match varying.iter().position(is_it) {
            Some(number) => once.then_some(Self::Varying(number)),
            None => Some(Self::Same(time.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::lexicon::Lexicon;
    use crate::tape::route::Route;
    use crate::tape::rules::Rule;
    use crate::tape::scribe;
    use crate::tape::secrets::{Changes, Secrets};
    use crate::tape::walk::{IdPlaces, PlacePattern};
    use proptest::prelude::*;

    const A: &str = "0385114b-b48f-4800-a046-f249eaba24b1";
    const B: &str = "72889532-1029-4901-91f0-05454c445d59";
    const X: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";
    const Y: &str = "11111111-2222-4333-8444-555555555555";

    fn rules() -> Rules {
        let ignore = ["json:/lastReportedDateTime", "json:/value/*/at"];
        let ignore = ignore.map(|text| PlacePattern::parse(text).unwrap()).into();
        Rules::new(vec![Rule { ignore, ..Rule::of(Route::parse("* /**").unwrap()) }], IdPlaces::default())
    }

    fn raw<'a>(target: &'a str, body: &'a str) -> RawRequest<'a> {
        let (host, content_type) = ("graph.microsoft.com", &b"application/json"[..]);
        RawRequest { method: "POST", host, target, content_type, body: body.as_bytes() }
    }

    fn read(raw: &RawRequest<'_>, rules: &Rules) -> (Taped<Request>, Reading) {
        let request = scribe::tape_request(raw.request(), rules.secrets());
        let reading = Reading::of(&request, rules, &[&Lexicon::default()]);
        (request, reading)
    }

    /// What a request that comes after another one is recalled as.
    fn recalled(one: &RawRequest<'_>, other: &RawRequest<'_>, rules: &Rules) -> Option<Reading> {
        let cache = ReadingCache::default();
        let (request, reading) = read(one, rules);
        cache.keep(one, &request, &reading, rules);
        cache.recall(other, rules)
    }

    #[test]
    fn when_half_of_the_room_is_taken_only_what_comes_again_is_kept() {
        let rules = rules();
        let bodies = ["a", "b", "c"].map(|name| format!(r#"{{"{name}":1}}"#));
        let [a, b, c] = [0, 1, 2].map(|at| raw("/beta/x/userStatuses", &bodies[at]));
        let keep = |cache: &ReadingCache, one: &RawRequest<'_>| {
            let (request, reading) = read(one, &rules);
            cache.keep(one, &request, &reading, &rules);
            [a, b, c].map(|one| u8::from(cache.recall(&one, &rules).is_some()))
        };
        let one = ReadingCache::default();
        keep(&one, &a);
        let size = one.kept.read().unwrap().bytes;
        let cache = ReadingCache::of(2 * size);
        let kept = [&a, &b, &b, &c, &c].map(|one| keep(&cache, one));
        assert_eq!(kept, [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]], "all is forgotten for the last one");
    }

    fn post(id: &str, user: &str, at: &str, due: &str) -> (String, String) {
        let body = format!(
            r##"{{"@odata.type":"#microsoft.graph.x","lastReportedDateTime":"{at}","due":"{due}","user":"{user}","id":"{id}_{user}"}}"##
        );
        (format!("/beta/deviceManagement/deviceConfigurations('{id}')/userStatuses"), body)
    }

    #[test]
    fn the_same_with_other_guids_and_times_that_may_vary_is_recalled() {
        let (now, later) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:17.7769392-08:00");
        let (target, body) = post(A, B, now, "2027-01-01T00:00:00Z");
        for (id, user, at, due, known) in [
            (X, Y, now, "2027-01-01T00:00:00Z", true),
            (X, A, later, "2027-01-01T00:00:00Z", true),
            (&X.to_uppercase(), Y, later, "2027-01-01T00:00:00Z", true),
            (X, X, later, "2027-01-01T00:00:00Z", false),
            (X, Y, later, "2027-01-01T00:00:01Z", false),
        ] {
            let (other_target, other_body) = post(id, user, at, due);
            let other = raw(&other_target, &other_body);
            let recalled = recalled(&raw(&target, &body), &other, &rules());
            assert_eq!(recalled, known.then(|| read(&other, &rules()).1), "{other_body}");
        }
    }

    /// Pairs in which more differs than GUIDs and times, or what differs means more than that.
    #[test]
    fn what_only_looks_alike_is_read_anew() {
        let now = "2026-01-01T00:00:00Z";
        let many = format!("\"value\":[{}1]", "1,".repeat(1000));
        let at = |at: &str, more: &str| format!(r#"{{"lastReportedDateTime":"{at}","id":"<1>"{more}}}"#);
        for (one, other) in [
            (at(now, ""), at("2026-01-01T0-1234-1234-1234-1234-1234", "")),
            (at(now, ""), at("2026-01-01T00:00:00+8", "")),
            (r#"{"/<1>":1}"#.to_owned(), r#"{"/<2>":1}"#.to_owned()),
            (r#"{"<1>":1,"b":2}"#.to_owned(), r#"{"<2>":1,"b":2}"#.to_owned()),
            (r#"{"a":"<1>","a":"x"}"#.to_owned(), r#"{"a":"<2>","a":"x"}"#.to_owned()),
            (
                r#"{"n":{"$serde_json::private::Number":"<1>"}}"#.to_owned(),
                r#"{"n":{"$serde_json::private::Number":"<2>"}}"#.to_owned(),
            ),
            (at(now, &format!(",{many}")), at("2026-01-01T00:00:00.000Z", &format!(",{many}"))),
            (
                format!(r#"{{"lastReportedDateTime":{{"10":"{now}","2":"2026-01-01T00:00:01Z"}}}}"#),
                r#"{"lastReportedDateTime":{"10":"2026-01-01T00:00:02Z","2":"2026-01-01T00:00:03Z"}}"#.to_owned(),
            ),
        ] {
            let [one, other] = [one, other].map(|body| body.replace("<1>", A).replace("<2>", B));
            let (one, other) = (raw("/beta/x/userStatuses", &one), raw("/beta/x/userStatuses", &other));
            let recalled = recalled(&one, &other, &rules());
            assert!(recalled.is_none_or(|recalled| recalled == read(&other, &rules()).1), "{other:?}");
        }
        let form = RawRequest { content_type: b"application/x-www-form-urlencoded", ..raw("/a", "x=1") };
        assert_eq!(recalled(&form, &form, &rules()), None);
    }

    #[test]
    fn nothing_is_recalled_where_rules_look_at_guids_or_secrets_were_taken_out() {
        let (target, body) = post(A, B, "now", "then");
        assert!(recalled(&raw(&target, &body), &raw(&target, &body), &rules()).is_some());
        let secret = body.replace("due", "client_secret");
        assert_eq!(recalled(&raw(&target, &secret), &raw(&target, &secret), &rules()), None);
        let changes = Changes { members: vec![A.to_owned()], ..Changes::default() };
        for sharp in [
            Rules::new(vec![Rule::of(Route::parse("POST /**/0*").unwrap())], IdPlaces::default()),
            rules().with_secrets(Secrets::new(&changes).unwrap()),
        ] {
            assert_eq!(recalled(&raw(&target, &body), &raw(&target, &body), &sharp), None);
        }
    }

    /// Texts with GUIDs as `<1>` and times as `<t>`.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => (1..4).prop_map(|n| format!("<{n}>")),
            1 => Just("<t>".to_owned()),
            1 => "[a-zA-Z0-9_/'():.%?,{}\\-]{0,4}",
            1 => prop::sample::select(vec!["users/", "x='", "/", "2026-01-01T00", "://", "\\u0027", "é", "19:a@thread", "REDACTED", "sig="]).prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    fn requests() -> impl Strategy<Value = (String, String)> {
        let name = prop::sample::select(vec![
            "id",
            "userId",
            "lastReportedDateTime",
            "value",
            "at",
            "a",
            "<1>",
            "/<1>",
            "10",
            "2",
            "x",
        ]);
        let member = (name, texts()).prop_map(|(name, text)| format!("\"{name}\":\"{text}\""));
        let members = (prop::collection::vec(member, 0..5), 0..3).prop_map(|(members, kind)| match kind {
            0 => format!("{{\"value\":[{{{}}},\"<2>\"]}}", members.join(",")),
            _ => format!("{{{}}}", members.join(",")),
        });
        let body = prop_oneof![4 => members, 1 => texts()];
        let segment = prop_oneof![texts(), Just("<1>".to_owned()), Just("deviceConfigurations".to_owned())];
        (prop::collection::vec(segment, 1..4), body)
            .prop_map(|(segments, body)| (format!("/beta/{}", segments.join("/")), body))
    }

    fn filled(text: &str, guids: [&str; 3], time: &str) -> String {
        let text = text.replace("<1>", guids[0]).replace("<2>", guids[1]).replace("<3>", guids[2]);
        text.replace("<t>", time)
    }

    proptest! {
        #[test]
        fn what_is_recalled_is_what_would_be_read(
            (target, body) in requests(),
            ids in prop::array::uniform3("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9A-F]{8}-1234-5678-9ABC-[0-9A-F]{12}"),
            time in "2026-0[1-9]-0[1-9]T00:00:00(\\.[0-9]{1,7})?(Z|\\+08:00)",
        ) {
            let fill = |text: &str| filled(text, [A, B, X], "2026-01-01T00:00:00Z");
            let (target_before, body_before) = (fill(&target), fill(&body));
            let ids = [ids[0].as_str(), ids[1].as_str(), ids[2].as_str()];
            let (target, body) = (filled(&target, ids, &time), filled(&body, ids, &time));
            let now = raw(&target, &body);
            if let Some(recalled) = recalled(&raw(&target_before, &body_before), &now, &rules()) {
                prop_assert_eq!(recalled, read(&now, &rules()).1);
            }
        }
    }
}
