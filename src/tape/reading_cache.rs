//! Readings of requests by their form: a program asks the same of one id after the other, and of one user.
//!
//! The form of a request is what it is but for its GUIDs and the texts in its body. Requests of one form that differ by
//! their GUIDs read alike, with these GUIDs in them: this is what the renaming law says of a reading. Where they differ by
//! texts too, and there is nothing in these but text, neither ids nor secrets, they differ by their keys, and these are
//! made of an outline. Where anything could make that untrue, nothing is kept and nothing recalled.

use super::exchange::{Request, Taped};
use super::guid;
use super::id::{Id, Written};
use super::matching::{Reading, Token};
use super::outline::Outline;
use super::rules::Rules;
pub use super::skeleton::RawRequest;
use super::skeleton::{Parts, Skeleton};
use super::stencil::Stencil;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use twox_hash::XxHash64;

/// How many bytes all that is kept may take. When it would be more, all is forgotten, and what still comes kept anew.
const ROOM: usize = 4 * 1024 * 1024;
/// What is kept of a request besides its texts, in bytes, and about what for each of its ids and of what varies.
const BESIDES: usize = 600;
const EACH: usize = 128;
/// How many forms that came once are known: one is kept when it comes again, and most that never do take no more.
const SEEN: usize = 1024;
/// How many forms are known as those that came last.
const LAST: usize = 64;

/// Readings by the form of a request.
#[derive(Debug)]
pub struct ReadingCache {
    /// By chance, so that nobody can tell what would have the same hash; such requests are read anew in turn.
    seed: u64,
    /// Whether the rules say the same whatever GUIDs a request has.
    blind: OnceLock<bool>,
    room: usize,
    kept: RwLock<Kept>,
    /// The hashes of forms that came once, each at its place.
    seen: Mutex<Box<[u32]>>,
}

#[derive(Debug)]
struct Kept {
    patterns: Vec<Pattern>,
    /// Which one it is, by the hash of its skeleton.
    numbers: HashMap<u64, usize>,
    /// The number of the one that came last, counted from 1, by what is seen at once of a request: mostly it comes again.
    last: [AtomicUsize; LAST],
    bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        let last = [const { AtomicUsize::new(0) }; LAST];
        Self { patterns: Vec::new(), numbers: HashMap::new(), last, bytes: 0 }
    }
}

impl Kept {
    /// Where the number stands of the last one that is like a request: GUIDs do not change how long a target is.
    fn last(&self, raw: &RawRequest<'_>) -> &AtomicUsize {
        let method = raw.method.bytes().next().unwrap_or_default();
        &self.last[(raw.target.len() + usize::from(method)) % LAST]
    }

    fn keep(&mut self, hash: u64, pattern: Pattern) {
        self.bytes += pattern.bytes();
        match self.numbers.get(&hash) {
            Some(number) => self.bytes -= std::mem::replace(&mut self.patterns[*number], pattern).bytes(),
            None => {
                self.numbers.insert(hash, self.patterns.len());
                self.patterns.push(pattern);
            }
        }
    }
}

/// What is known of all requests with one skeleton.
#[derive(Debug)]
struct Pattern {
    skeleton: Box<[u8]>,
    /// The reading of one of them.
    reading: Reading,
    /// For each id of the reading the number of its GUID in the skeleton.
    tokens: Box<[usize]>,
    outline: Outline,
    stencil: Option<Stencil>,
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

    /// The reading of a request, where it is one that came before but for its GUIDs and for texts that are only texts.
    #[must_use]
    pub fn recall(&self, raw: &RawRequest<'_>, rules: &Rules) -> Option<Reading> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let last = kept.last(raw);
        let pattern = kept.patterns.get(last.load(Ordering::Relaxed).wrapping_sub(1));
        if let Some((pattern, parts)) = pattern.and_then(|pattern| Some((pattern, pattern.parts(raw)?))) {
            return pattern.fill(&parts, raw.body, rules);
        }
        let skeleton = Skeleton::of(raw)?;
        let number = *kept.numbers.get(&self.hash(&skeleton))?;
        let pattern = &kept.patterns[number];
        if *pattern.skeleton != *skeleton.text {
            return None;
        }
        last.store(number + 1, Ordering::Relaxed);
        pattern.fill(&skeleton.parts, raw.body, rules)
    }

    /// Keeps the reading of a request whose form came before, where others can be known by it. Texts that are ids in the
    /// session, or in the cassette, must have been none when it was read.
    pub fn keep(&self, raw: &RawRequest<'_>, request: &Taped<Request>, reading: &Reading, rules: &Rules) {
        // Where secrets were taken out, it is another request.
        if request.target != raw.target || request.body != raw.body || request.method != raw.method {
            return;
        }
        // So that its texts are parts of the body that is walked.
        let Some(skeleton) = Skeleton::of(&RawRequest { body: &request.body, ..*raw }) else { return };
        let hash = self.hash(&skeleton);
        if !self.blind.get_or_init(|| rules.are_blind_to_guids()) || !self.came_before(hash) {
            return;
        }
        let pattern = Pattern::of(raw, &skeleton, request, reading, rules).filter(|one| one.bytes() <= self.room);
        let Some(pattern) = pattern else { return };
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + pattern.bytes() > self.room {
            *kept = Kept::default();
        }
        kept.keep(hash, pattern);
    }

    /// It need not be safe against craft: what has one hash takes one place, and is compared in full.
    fn hash(&self, skeleton: &Skeleton<'_>) -> u64 {
        XxHash64::oneshot(self.seed, &skeleton.text)
    }

    fn came_before(&self, hash: u64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_empty() {
            *seen = vec![0; SEEN].into();
        }
        let (place, mark) = (hash as usize % SEEN, (hash >> 32) as u32);
        std::mem::replace(&mut seen[place], mark) == mark
    }
}

impl Pattern {
    /// The pattern of a skeleton, if it has one that tells all.
    fn of(
        raw: &RawRequest<'_>,
        skeleton: &Skeleton<'_>,
        request: &Taped<Request>,
        reading: &Reading,
        rules: &Rules,
    ) -> Option<Self> {
        // A GUID that is no id where it stands is a part of what is compared.
        if reading.occurrences != Some(skeleton.occurrences) {
            return None;
        }
        let Parts { guids, texts } = &skeleton.parts;
        let number = |token: &Token| guids.iter().position(|guid| Id::Guid(guid.value) == token.id);
        let tokens: Box<[usize]> = reading.tokens().iter().map(number).collect::<Option<_>>()?;
        let fixed = reading.varying.iter().all(|one| guid::tokens(&one.literal).next().is_none());
        if tokens.len() != guids.len() || !fixed {
            return None;
        }
        let outline = Outline::of(request, texts, reading, rules)?;
        let stencil = Stencil::of(raw, skeleton);
        let pattern = Self { skeleton: (*skeleton.text).into(), reading: reading.clone(), tokens, outline, stencil };
        let leads_here = pattern.fill(&skeleton.parts, &request.body, rules).as_ref() == Some(reading);
        leads_here.then_some(pattern)
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        let varying = self.reading.varying.iter().map(|one| EACH + one.place.named() + one.literal.len());
        let parts = EACH * self.tokens.len() + varying.sum::<usize>();
        let stencil = self.stencil.as_ref().map_or(0, Stencil::bytes);
        self.skeleton.len() + self.outline.bytes() + stencil + BESIDES + parts
    }

    /// What a request has in the stead of what the known one had, where it is seen to be of this form without its skeleton.
    fn parts<'p>(&'p self, raw: &RawRequest<'p>) -> Option<Parts<'p>> {
        self.stencil.as_ref()?.parts(raw, self.outline.known())
    }

    /// The reading of the request that has these parts and this body.
    fn fill(&self, parts: &Parts<'_>, body: &[u8], rules: &Rules) -> Option<Reading> {
        let (keys, varying) = self.outline.keys(&parts.texts, body, &self.reading, rules)?;
        let token = |number: &usize| {
            let guid = &parts.guids[*number];
            Token { id: Id::Guid(guid.value), spelled: Written::of(guid.spelled) }
        };
        Some(self.reading.with(self.tokens.iter().map(token).collect(), keys, varying))
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

    /// What is known when a request came twice.
    fn after(one: &RawRequest<'_>, rules: &Rules) -> ReadingCache {
        let cache = ReadingCache::default();
        let (request, reading) = read(one, rules);
        (0..2).for_each(|_| cache.keep(one, &request, &reading, rules));
        cache
    }

    /// What a request is recalled as that comes after another one came twice.
    fn recalled(one: &RawRequest<'_>, other: &RawRequest<'_>, rules: &Rules) -> Option<Reading> {
        after(one, rules).recall(other, rules)
    }

    #[test]
    fn what_comes_again_is_kept_until_there_is_no_room() {
        let rules = rules();
        let bodies = ["a", "b", "c"].map(|name| format!(r#"{{"{name}":1}}"#));
        let [a, b, c] = [0, 1, 2].map(|at| raw("/beta/x/userStatuses", &bodies[at]));
        let keep = |cache: &ReadingCache, one: &RawRequest<'_>| {
            let (request, reading) = read(one, &rules);
            cache.keep(one, &request, &reading, &rules);
            [a, b, c].map(|one| u8::from(cache.recall(&one, &rules).is_some()))
        };
        let one = ReadingCache::default();
        assert_eq!([&a, &b, &a].map(|asked| keep(&one, asked)), [[0, 0, 0], [0, 0, 0], [1, 0, 0]]);
        let size = one.kept.read().unwrap().bytes;
        let cache = ReadingCache::of(2 * size);
        let kept = [&a, &a, &b, &b, &c, &c].map(|one| keep(&cache, one));
        let all = [[0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]];
        assert_eq!(kept, all, "all is forgotten for the last one");
    }

    fn post(id: &str, user: &str, at: &str, due: &str) -> (String, String) {
        let body = format!(
            r##"{{"@odata.type":"#microsoft.graph.x","lastReportedDateTime":"{at}","due":"{due}","user":"{user}","id":"{id}_{user}"}}"##
        );
        (format!("/beta/deviceManagement/deviceConfigurations('{id}')/userStatuses"), body)
    }

    #[test]
    fn the_same_with_other_guids_and_texts_is_recalled() {
        let (now, later) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:17.7769392-08:00");
        let (target, body) = post(A, B, now, "2027-01-01T00:00:00Z");
        for (id, user, at, due, known) in [
            (X, Y, now, "2027-01-01T00:00:00Z", true),
            (X, A, later, "2027-01-01T00:00:00Z", true),
            (&X.to_uppercase(), Y, later, "2027-01-01T00:00:00Z", true),
            (X, Y, later, "2027-01-01T00:00:01Z", true),
            (X, Y, "today", "J. Doe <j.doe@contoso.com>, 10 % (é): 'x' & https://h/a?b=c", true),
            (X, Y, "\u{1f600}", "2027-01-01T00:00:00Z", true),
            (X, Y, now, &"long ".repeat(300), true),
            (X, Y, now, &format!("x{X}"), true),
            (X, Y, "REDACTED", "password", true),
            (X, X, later, "2027-01-01T00:00:00Z", false),
            (X, Y, now, "", false),
            (X, Y, now, &format!("of {X}"), false),
            (X, Y, now, "a\\u0020b", false),
            (X, Y, now, "a\nb", false),
            (X, Y, "sig=0123456789012345678901", "2027-01-01T00:00:00Z", false),
            (X, Y, now, "/users/someone/x", false),
            (X, Y, now, &"longer ".repeat(300), false),
        ] {
            let (other_target, other_body) = post(id, user, at, due);
            let other = raw(&other_target, &other_body);
            let recalled = recalled(&raw(&target, &body), &other, &rules());
            assert_eq!(recalled, known.then(|| read(&other, &rules()).1), "{other_body}");
        }
    }

    /// Pairs in which more differs than GUIDs and texts, or what differs means more than that.
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
            (r#"{"a":"x","a":"y"}"#.to_owned(), r#"{"a":"x","a":"z"}"#.to_owned()),
            (
                r#"{"n":{"$serde_json::private::Number":"<1>"}}"#.to_owned(),
                r#"{"n":{"$serde_json::private::Number":"<2>"}}"#.to_owned(),
            ),
            (
                r#"{"n":{"$serde_json::private::Number":"1"}}"#.to_owned(),
                r#"{"n":{"$serde_json::private::Number":"x"}}"#.to_owned(),
            ),
            (at(now, &format!(",{many}")), at("2026-01-01T00:00:00.000Z", &format!(",{many}"))),
            (
                format!(r#"{{"lastReportedDateTime":{{"10":"{now}","2":"2026-01-01T00:00:01Z"}}}}"#),
                r#"{"lastReportedDateTime":{"10":"2026-01-01T00:00:02Z","2":"2026-01-01T00:00:03Z"}}"#.to_owned(),
            ),
            (r#"plain "x" text"#.to_owned(), r#"plain "y" text"#.to_owned()),
            (r#"["x" "y"]"#.to_owned(), r#"["x" "z"]"#.to_owned()),
            (r#"["<password a","x","b>c<d"]"#.to_owned(), r#"["<password a","y","b>c<d"]"#.to_owned()),
            (r#"["<password a","x","b>c<d"]"#.to_owned(), r#"["<password a",">","b>c<d"]"#.to_owned()),
            (
                r#"["x","; name=pwd"\n\n]"#.replace("\\n", "\n"),
                r#"["content-disposition:","; name=pwd"\n\n]"#.replace("\\n", "\n"),
            ),
            (r#"{"id":""}"#.to_owned(), r#"{"id":"y"}"#.to_owned()),
        ] {
            let [one, other] = [one, other].map(|body| body.replace("<1>", A).replace("<2>", B));
            let (one, other) = (raw("/beta/x/userStatuses", &one), raw("/beta/x/userStatuses", &other));
            let recalled = recalled(&one, &other, &rules());
            assert!(recalled.is_none_or(|recalled| recalled == read(&other, &rules()).1), "{other:?}");
        }
    }

    #[test]
    fn a_form_is_read_anew() {
        let form = RawRequest { content_type: b"application/x-www-form-urlencoded", ..raw("/a", "x=1") };
        assert_eq!(recalled(&form, &form, &rules()), None);
    }

    /// Texts that are more than texts, wherever they stand.
    fn odd_texts() -> Vec<String> {
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl";
        let texts = [
            jwt,
            "Bearer EwBwA8l6BAAUbDba3x2OMJElkF7gJ4z",
            "https://h/x?sig=0123456789012345678901",
            "client_secret=x",
            "AccountKey=0123456789",
            "https://user:hunter2@example.com/x",
            "abc8Q~xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "AKIAABCDEFGH12345678",
            "xoxb-123456789012-abc",
            "123456-234567-345678-456789-567890-678901-789012-890123",
            "ABCD-EF12-3456-GHIJ-KLMN-7890",
            "-----BEGIN PRIVATE KEY-----",
            "<password>x</password>",
            "&lt;password&gt;x&lt;/password&gt;",
            "<key>password</key><string>x</string>",
            "deviceConfigurations('x')",
            "users/someone",
            "users(%27x%27)",
            "<2>",
            "see <2>, there",
            "<2>_<3>",
            "",
            "\\u0041",
            "\\\"",
            "\"",
            "\u{1}",
            "\t",
        ];
        texts.map(str::to_owned).into()
    }

    #[test]
    fn a_text_that_is_more_is_never_taken_for_one() {
        for (place, text) in ["a", "lastReportedDateTime", "userId"].into_iter().flat_map(|place| {
            let texts = odd_texts().into_iter().map(|text| text.replace("<2>", B).replace("<3>", Y));
            texts.map(move |text| (place, text))
        }) {
            let body = |text: &str| format!(r#"{{"x":"y","{place}":"{text}","id":"{A}"}}"#);
            let (one, other) = (body("text"), body(&text));
            let target = format!("/beta/x/{X}/userStatuses");
            let (one, other) = (raw(&target, &one), raw(&target, &other));
            assert_eq!(recalled(&one, &other, &rules()), None, "{other:?}");
        }
    }

    #[test]
    fn nothing_is_recalled_where_rules_look_at_guids_or_secrets_were_taken_out() {
        let (target, body) = post(A, B, "now", "then");
        assert!(recalled(&raw(&target, &body), &raw(&target, &body), &rules()).is_some());
        let secret = body.replace("due", "client_secret");
        assert_eq!(recalled(&raw(&target, &secret), &raw(&target, &secret), &rules()), None);
        let named = |member: String| Changes { members: vec![member], ..Changes::default() };
        let ticket = Changes { rules: vec![("ticket".into(), "TICKET-[0-9]+".into())], ..Changes::default() };
        let people = IdPlaces { people: true, ..IdPlaces::default() };
        for sharp in [
            Rules::new(vec![Rule::of(Route::parse("POST /**/0*").unwrap())], IdPlaces::default()),
            Rules::new(vec![], people),
            rules().with_secrets(Secrets::new(&named(A.to_owned())).unwrap()),
            rules().with_secrets(Secrets::new(&named(A.replacen('-', "_-", 1))).unwrap()),
            rules().with_secrets(Secrets::new(&named(format!("{A}Key"))).unwrap()),
            rules().with_secrets(Secrets::new(&ticket).unwrap()),
        ] {
            assert_eq!(recalled(&raw(&target, &body), &raw(&target, &body), &sharp), None);
        }
    }

    #[test]
    fn a_place_of_secrets_is_one_whatever_stood_there() {
        let changes = Changes { members: vec!["nick".to_owned()], ..Changes::default() };
        let rules = rules().with_secrets(Secrets::new(&changes).unwrap());
        let now = "2026-01-01T00:00:00Z";
        for (one, other, known) in
            [("REDACTED", "x", false), ("REDACTED", now, false), ("", "x", false), ("REDACTED", "REDACTED", true)]
        {
            for name in ["nick", "client_secret"] {
                let body = |text: &str| format!(r#"{{"at":"x","{name}":"{text}"}}"#);
                let (one, other) = (body(one), body(other));
                let recalled = recalled(&raw("/beta/x", &one), &raw("/beta/x", &other), &rules);
                assert_eq!(recalled.is_some(), known, "{one} {other}");
            }
        }
    }

    /// Texts with GUIDs as `<1>`, times as `<t>`, and `<a>` to `<d>`, which may be anything.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => (1..4).prop_map(|n| format!("<{n}>")),
            1 => Just("<t>".to_owned()),
            1 => "[a-zA-Z0-9_/'():.%?,{}\\-]{0,4}",
            1 => prop::sample::select(vec!["users/", "x='", "/", "2026-01-01T00", "://", "\\u0027", "é", "19:a@thread", "REDACTED", "sig="]).prop_map(str::to_owned),
        ];
        prop_oneof![
            1 => prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat()),
            1 => prop::sample::select(vec!["<a>", "<b>", "<c>", "<d>", "<t>"]).prop_map(str::to_owned),
        ]
    }

    /// What may be anything: most often what people are called.
    fn anything() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[A-Z][a-zéß]{1,8}[ .,'_-][A-Z][a-z]{1,8}( \\(IT\\)|@contoso\\.com)?",
            2 => prop::sample::select(odd_texts()),
            1 => "\\PC{0,8}",
            1 => ".{0,8}",
            1 => texts(),
        ]
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
            "password",
            "userPrincipalName",
            "b",
            "c",
        ]);
        let value = prop_oneof![
            6 => texts().prop_map(|text| format!("\"{text}\"")),
            1 => (texts(), texts()).prop_map(|(one, other)| format!("[\"{one}\",7,{{\"at\":\"{other}\"}}]")),
        ];
        let member = (name, value).prop_map(|(name, value)| format!("\"{name}\": {value}"));
        let comma = prop::sample::select(vec![",", ",\n\n", " ,"]);
        let members =
            (prop::collection::vec(member, 0..6), comma, 0..3).prop_map(|(members, comma, kind)| match kind {
                0 => format!("{{\"value\":[{{{}}},\"<2>\"]}}", members.join(comma)),
                _ => format!("{{{}}}", members.join(comma)),
            });
        let body = prop_oneof![4 => members, 1 => texts()];
        let segment = prop_oneof![texts(), Just("<1>".to_owned()), Just("deviceConfigurations".to_owned())];
        (prop::collection::vec(segment, 1..4), body)
            .prop_map(|(segments, body)| (format!("/beta/{}", segments.join("/")), body))
    }

    /// The text with these in its places, in the target what stands for anything left as it is.
    fn filled((target, body): &(String, String), guids: [&str; 3], time: &str, any: &[String; 4]) -> [String; 2] {
        let fill = |text: &str| {
            let text = text.replace("<1>", guids[0]).replace("<2>", guids[1]).replace("<3>", guids[2]);
            text.replace("<t>", time)
        };
        let places = ["<a>", "<b>", "<c>", "<d>"].into_iter().zip(any);
        [fill(target), fill(&places.fold(body.clone(), |body, (place, text)| body.replace(place, text)))]
    }

    proptest! {
        #[test]
        fn what_is_recalled_is_what_would_be_read(
            request in requests(),
            ids in prop::array::uniform3("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9A-F]{8}-1234-5678-9ABC-[0-9A-F]{12}"),
            time in "2026-0[1-9]-0[1-9]T00:00:00(\\.[0-9]{1,7})?(Z|\\+08:00)",
            before in prop::array::uniform4(anything()),
            others in prop::array::uniform4(anything()),
        ) {
            let [target, body] = filled(&request, [A, B, X], "2026-01-01T00:00:00Z", &before);
            let cache = after(&raw(&target, &body), &rules());
            let ids = [ids[0].as_str(), ids[1].as_str(), ids[2].as_str()];
            let one = [&before[0], &before[1], &others[2], &before[3]].map(String::clone);
            let turned = [&others[0], &others[1], &before[0], &others[3]].map(String::clone);
            for any in [one, turned, others] {
                let [target, body] = filled(&request, ids, &time, &any);
                let now = raw(&target, &body);
                if let Some(recalled) = cache.recall(&now, &rules()) {
                    prop_assert_eq!(recalled, read(&now, &rules()).1);
                }
            }
        }
    }
}
