//! Faults on demand: rules by which some requests of a route get an error, or no whole answer at all.

use super::matching::Key;
use super::route::Route;
use std::collections::HashMap;

/// The errors that a rule can answer.
pub const STATUSES: [u16; 10] = [400, 401, 403, 404, 409, 429, 500, 502, 503, 504];
/// A share of all requests, in the millionth parts in which shares are counted.
const WHOLE: u32 = 1_000_000;
/// How a rule is written, for messages.
const EXAMPLE: &str = "`POST /**/userStatuses: 429 every 3`";

/// A rule: which requests get a fault, and which fault.
#[derive(Clone, Debug)]
pub struct Rule {
    text: String,
    route: Route,
    when: When,
    kind: Kind,
}

/// Which requests of a route a rule strikes, by their number, or by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    First(u64),
    Nth(u64),
    Every(u64),
    Share(u32),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It gets an error as Graph writes one.
    Error(Error),
    /// Its connection is reset.
    Reset,
    /// It gets no answer, as long as its client waits.
    Stall,
    /// The answer ends in the middle.
    Truncate,
}

/// An error of Graph's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The status.
    pub status: u16,
    /// How many seconds the client is told to wait, if it is.
    pub retry_after: Option<u32>,
    /// Whether it asks for another token, with a claims challenge.
    pub claims: bool,
}

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// By itself.
    Alone,
    /// As the envelope of a batch.
    Batch,
    /// In a batch.
    Part,
}

impl Rule {
    /// Reads `ROUTE: ANSWER [WHEN]`.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let no_rule = || vec![format!("`{text}` is no fault: write a route, a colon and an answer, such as {EXAMPLE}")];
        let (route, rest) = text.rsplit_once(':').ok_or_else(no_rule)?;
        let mut words = Words::default();
        words.read(rest);
        let parsed = Route::parse(route.trim());
        let mut faults: Vec<String> = parsed.as_ref().err().map(ToString::to_string).into_iter().collect();
        match words.settle() {
            Ok((kind, when)) if faults.is_empty() => {
                Ok(Self { text: text.trim().to_owned(), route: parsed.map_err(|_| no_rule())?, when, kind })
            }
            settled => {
                faults.extend(settled.err().into_iter().flatten());
                Err(faults)
            }
        }
    }

    /// The rule as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is for a request of this method and path that comes this way. What becomes of a connection is for whole
    /// requests, errors are for each request in a batch; for the batch itself too where that is what the route names.
    fn is_for(&self, method: &str, path: &str, coming: Coming) -> bool {
        let errs = matches!(self.kind, Kind::Error(_));
        let meant = match coming {
            Coming::Alone => true,
            Coming::Batch => !errs || self.route.as_str().to_ascii_lowercase().ends_with("$batch"),
            Coming::Part => errs,
        };
        meant && self.route.matches(method, path)
    }
}

/// The words of a rule after its route, as far as they are read.
#[derive(Debug, Default)]
struct Words {
    kind: Option<Kind>,
    when: Option<When>,
    /// The seconds of `retry-after`, or none of them.
    retry_after: Option<Option<u32>>,
    claims: bool,
    faults: Vec<String>,
}

impl Words {
    fn read(&mut self, text: &str) {
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            match word {
                "first" => {
                    let count = words.next_if(|next| next.bytes().all(|b| b.is_ascii_digit()));
                    let count = count.map_or(Some(1), |next| self.count(word, Some(next)));
                    self.when(count.map(When::First));
                }
                "nth" | "every" => {
                    let count = self.count(word, words.next());
                    self.when(count.map(if word == "nth" { When::Nth } else { When::Every }));
                }
                "share" => {
                    let share = self.share(words.next());
                    self.when(share);
                }
                "retry-after" => self.retry_after = self.seconds(words.next()),
                "claims" => self.claims = true,
                kind => self.kind(kind),
            }
        }
    }

    fn fault(&mut self, why: String) {
        self.faults.push(why);
    }

    fn when(&mut self, when: Option<When>) {
        if self.when.is_some() {
            self.fault("only one of `first`, `nth`, `every` and `share` can be meant".to_owned());
        }
        self.when = self.when.or(when);
    }

    fn count(&mut self, word: &str, text: Option<&str>) -> Option<u64> {
        let count = text.and_then(|text| text.parse().ok()).filter(|count| *count > 0);
        if count.is_none() {
            let found = text.map(|text| format!(", not `{text}`")).unwrap_or_default();
            self.fault(format!("`{word}` is followed by a number of 1 or more{found}"));
        }
        count
    }

    fn share(&mut self, text: Option<&str>) -> Option<When> {
        let percent: Option<f64> = text.and_then(|text| text.strip_suffix('%')).and_then(|number| number.parse().ok());
        // A millionth part is exact in a float, and none is negative here.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and a million")]
        let parts = percent.map(|percent| (percent * f64::from(WHOLE) / 100.0).round()).map(|parts| parts as u32);
        let in_range = percent.is_some_and(|percent| percent <= 100.0) && parts.is_some_and(|parts| parts > 0);
        if !in_range {
            let found = text.map(|text| format!(", not by `{text}`")).unwrap_or_default();
            self.fault(format!("`share` is followed by a percentage up to 100%, such as `share 5%`{found}"));
        }
        parts.filter(|_| in_range).map(When::Share)
    }

    fn seconds(&mut self, text: Option<&str>) -> Option<Option<u32>> {
        match text {
            Some("none") => return Some(None),
            Some(text) if let Ok(seconds) = text.parse() => return Some(Some(seconds)),
            _ => {}
        }
        let found = text.map(|text| format!(", not by `{text}`")).unwrap_or_default();
        self.fault(format!("`retry-after` is followed by seconds or `none`{found}"));
        None
    }

    fn kind(&mut self, word: &str) {
        let error = |status| Kind::Error(Error { status, retry_after: None, claims: false });
        let kind = match word {
            "reset" => Some(Kind::Reset),
            "stall" => Some(Kind::Stall),
            "truncate" => Some(Kind::Truncate),
            number => number.parse().ok().filter(|status| STATUSES.contains(status)).map(error),
        };
        match kind {
            None => {
                let known = STATUSES.map(|status| status.to_string()).join(", ");
                let what = if word.bytes().all(|b| b.is_ascii_digit()) { "no error of Graph's" } else { "no answer" };
                self.fault(format!("`{word}` is {what}; there are {known}, reset, stall and truncate"));
            }
            Some(_) if self.kind.is_some() => self.fault(format!("`{word}` is a second answer; a rule has one")),
            Some(_) => self.kind = kind,
        }
    }

    fn settle(mut self) -> Result<(Kind, When), Vec<String>> {
        if self.kind.is_none() && self.faults.is_empty() {
            self.fault(format!("there is no answer: write a status, reset, stall or truncate, such as {EXAMPLE}"));
        }
        let (claims, retry_after) = (self.claims, self.retry_after);
        let status = match self.kind {
            Some(Kind::Error(error)) => Some(error.status),
            _ => None,
        };
        if self.kind.is_some() && claims && status != Some(401) {
            self.fault("`claims` goes with 401".to_owned());
        }
        let waits = matches!(status, Some(429 | 503 | 504));
        if self.kind.is_some() && retry_after.is_some() && !waits {
            self.fault("`retry-after` goes with 429, 503 and 504".to_owned());
        }
        let kind = match self.kind {
            Some(Kind::Error(Error { status, .. })) => {
                // A replay makes nobody wait who did not ask for it.
                let retry_after = retry_after.unwrap_or((status == 429).then_some(0));
                Kind::Error(Error { status, retry_after, claims })
            }
            Some(kind) => kind,
            None => return Err(self.faults),
        };
        if self.faults.is_empty() { Ok((kind, self.when.unwrap_or(When::Always))) } else { Err(self.faults) }
    }
}

/// A fault that a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Struck {
    /// The number of the rule, from 0.
    pub rule: usize,
    /// What becomes of the request.
    pub kind: Kind,
    /// What request it is.
    pub key: Key,
    /// How often it came before, as far as that was counted.
    pub time: u32,
}

/// How often the rules of a session were asked.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// For each rule, how many requests of its route came.
    came: Vec<u64>,
    /// How often each request came that a share of is struck.
    seen: HashMap<Key, u32>,
}

impl Counts {
    /// The fault that a request gets, if it gets one: of the first rule that strikes it. `key` tells what request it is; the
    /// same one draws anew each time that it comes.
    pub fn strike(
        &mut self,
        rules: &[Rule],
        (method, path): (&str, &str),
        coming: Coming,
        seed: &str,
        key: impl Fn() -> Key,
    ) -> Option<Struck> {
        self.came.resize(rules.len(), 0);
        let mut struck = None;
        let mut draw: Option<(Key, u32)> = None;
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_for(method, path, coming)) {
            self.came[number] += 1;
            let came = self.came[number];
            let strikes = match rule.when {
                When::Always => true,
                When::First(count) => came <= count,
                When::Nth(count) => came == count,
                When::Every(count) => came.is_multiple_of(count),
                When::Share(parts) => {
                    let (key, time) = *draw.get_or_insert_with(|| self.see(key()));
                    let drawn = drawn(&[seed.as_bytes(), rule.text.as_bytes(), &key.0, &time.to_le_bytes()]);
                    drawn % u64::from(WHOLE) < u64::from(parts)
                }
            };
            if strikes && struck.is_none() {
                struck = Some((number, rule.kind));
            }
        }
        let (rule, kind) = struck?;
        let (key, time) = draw.unwrap_or_else(|| self.see(key()));
        Some(Struck { rule, kind, key, time })
    }

    /// Counts a request that comes, and tells how often it came before.
    pub fn see(&mut self, key: Key) -> (Key, u32) {
        let seen = self.seen.entry(key).or_default();
        *seen += 1;
        (key, *seen - 1)
    }
}

/// A number that looks like chance, and is always the same for the same parts.
#[must_use]
pub fn drawn(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("graphdeck 2026 drawn numbers");
    for part in parts {
        hasher.update(&part.len().to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<Rule> {
        texts.iter().map(|text| Rule::parse(text).unwrap()).collect()
    }

    /// The numbers, from 1, of those of some requests that are struck.
    fn struck(rule: &str, requests: u64) -> Vec<u64> {
        let (rules, mut counts) = (rules(&[rule]), Counts::default());
        let mut strike = |n: &u64| {
            let key = || Key(u128::from(*n).to_le_bytes());
            counts.strike(&rules, ("POST", "/beta/a/userStatuses"), Coming::Alone, "seed", key).is_some()
        };
        (1..=requests).filter(|n| strike(n)).collect()
    }

    #[test]
    fn requests_are_struck_by_their_number() {
        assert_eq!(struck("POST /**/userStatuses: 500", 3), [1, 2, 3]);
        assert_eq!(struck("POST /**/userStatuses: 500 first", 5), [1]);
        assert_eq!(struck("POST /**/userStatuses: 500 first 2", 5), [1, 2]);
        assert_eq!(struck("POST /**/userStatuses: 500 nth 3", 9), [3]);
        assert_eq!(struck("POST /**/userStatuses: 500 every 3", 9), [3, 6, 9]);
        assert_eq!(struck("GET /**/userStatuses: 500", 9), [0; 0]);
        assert_eq!(struck("* /**: share 100% reset", 3), [1, 2, 3]);
    }

    #[test]
    fn a_share_is_about_as_large_as_it_says_and_always_the_same() {
        let some = struck("* /**: 503 share 10%", 10_000);
        assert!((900..1100).contains(&some.len()), "{}", some.len());
        assert_eq!(some, struck("* /**: 503 share 10%", 10_000));
        assert_ne!(some, struck("* /**: 503 share 10.0001%", 10_000), "another rule draws otherwise");
    }

    #[test]
    fn the_order_in_which_requests_come_changes_no_draw() {
        let rules = rules(&["* /**: 503 share 50%"]);
        let draw = |order: &mut dyn Iterator<Item = u128>| {
            let mut counts = Counts::default();
            let mut drawn: Vec<_> = order
                .map(|n| {
                    let key = || Key((n % 10).to_le_bytes());
                    (n % 10, counts.strike(&rules, ("GET", "/beta/a"), Coming::Alone, "s", key).is_some())
                })
                .collect();
            drawn.sort_unstable();
            drawn
        };
        assert_eq!(draw(&mut (0..100)), draw(&mut (0..100).rev()));
    }

    #[test]
    fn the_first_rule_that_strikes_answers_and_each_counts_for_itself() {
        let rules = rules(&["POST /**: 429 nth 2", "* /**: 503 every 2", "* /**: 404"]);
        let mut counts = Counts::default();
        let mut strike =
            || counts.strike(&rules, ("POST", "/beta/a"), Coming::Alone, "", || Key([0; 16])).unwrap().rule;
        assert_eq!([strike(), strike(), strike(), strike()], [2, 0, 2, 1]);
    }

    #[test]
    fn errors_are_for_the_parts_of_a_batch_and_resets_for_the_whole() {
        for (rule, coming, expected) in [
            ("* /**: 503", Coming::Part, true),
            ("* /**: 503", Coming::Batch, false),
            ("POST /$batch: 503", Coming::Batch, true),
            ("* /**: reset", Coming::Batch, true),
            ("* /**: reset", Coming::Part, false),
        ] {
            let path = if coming == Coming::Batch { "/v1.0/$batch" } else { "/v1.0/me" };
            assert_eq!(Rule::parse(rule).unwrap().is_for("POST", path, coming), expected, "{rule} {coming:?}");
        }
    }

    #[test]
    fn a_wait_is_told_with_429_and_where_it_is_asked_for() {
        for (rule, retry_after) in [
            ("* /**: 429", Some(0)),
            ("* /**: 429 retry-after 7", Some(7)),
            ("* /**: 429 retry-after none", None),
            ("* /**: 503", None),
            ("* /**: retry-after 2 503 first 3", Some(2)),
        ] {
            let Kind::Error(error) = Rule::parse(rule).unwrap().kind else { panic!("{rule}") };
            assert_eq!(error.retry_after, retry_after, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_told_all_at_once() {
        let told = [
            "POST /a 429",
            "POST /a:",
            "POST a: 418 share 200% nth 0",
            "* /a: 429 500 every 3 share 5%",
            "* /a: 429 later",
            "* /a: 404 claims retry-after 3",
            "* /a: 429 retry-after soon every",
            "* /a: reset share 0% first 0",
            "* /a: stall share NaN%",
        ]
        .map(|text| Rule::parse(text).unwrap_err().join("\n  "));
        insta::assert_snapshot!(told.join("\n"));
    }
}
