//! Patterns that are searched together: one pass over a text tells which of them match in it.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};
use std::sync::{Mutex, PoisonError};

/// The most memory that patterns may take, in bytes: those of a user may be any.
const LARGEST: usize = 10 << 20;
/// Why a search has an outcome.
const NEVER: &str = "nothing was asked for that may make it give up";

/// What `regex` has for this reads texts backwards too, has states for that, and for each thread a cache of both: some
/// 800 KB more.
#[derive(Debug)]
pub(super) struct Together {
    dfa: DFA,
    /// The caches that nobody searches with just now: as many as there ever were searches at once.
    caches: Mutex<Vec<Cache>>,
}

/// Why patterns cannot be searched together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Together {
    pub(super) fn new(patterns: &[String]) -> Result<Self, Fault> {
        let captures = WhichCaptures::None;
        let states = NFA::compiler()
            .syntax(syntax::Config::new().utf8(false))
            .configure(NFA::config().utf8(false).which_captures(captures).nfa_size_limit(Some(LARGEST)))
            .build_many(patterns)
            .map_err(|fault| Fault(fault.to_string()))?;
        let all = DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(all).build_from_nfa(states).map_err(|fault| Fault(fault.to_string()))?;
        Ok(Self { dfa, caches: Mutex::default() })
    }

    /// Whether any of them matches.
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        let input = Input::new(text).earliest(true);
        self.with_cache(|cache| self.dfa.try_search_fwd(cache, &input)).expect(NEVER).is_some()
    }

    /// The numbers of those that match.
    pub(super) fn matches(&self, text: &[u8]) -> Vec<usize> {
        let (mut found, input) = (PatternSet::new(self.dfa.pattern_len()), Input::new(text));
        self.with_cache(|cache| self.dfa.try_which_overlapping_matches(cache, &input, &mut found)).expect(NEVER);
        found.iter().map(|pattern| pattern.as_usize()).collect()
    }

    fn with_cache<T>(&self, search: impl FnOnce(&mut Cache) -> T) -> T {
        let caches = || self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let free = caches().pop();
        let mut cache = free.unwrap_or_else(|| self.dfa.create_cache());
        let found = search(&mut cache);
        caches().push(cache);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::bytes::RegexSet;

    #[test]
    fn patterns_that_are_none_or_too_large_are_refused() {
        let refused = |pattern: &str| Together::new(&[pattern.to_owned()]).unwrap_err().to_string();
        assert!(refused("(").contains("parsing"), "{}", refused("("));
        let large = "(?-u)(?:[a-z]{900}){900}";
        assert!(refused(large).contains("limit"), "{}", refused(large));
    }

    #[test]
    fn there_are_as_many_caches_as_searches_at_once() {
        let together = Together::new(&["a".to_owned()]).unwrap();
        let free = || together.caches.lock().unwrap().len();
        assert!((0..3).all(|_| together.is_match(b"cba") && together.matches(b"cba") == [0]));
        assert_eq!(free(), 1);
        together.with_cache(|_| assert!(together.is_match(b"cba")));
        assert_eq!(free(), 2);
    }

    proptest! {
        #[test]
        fn it_finds_what_a_set_of_regexes_finds(text in "[abé \n]{0,12}", bytes: [u8; 2]) {
            let patterns =
                ["(?-u)ab", "é", r"(?-u)\b[a-b]+\b", "(?m-u)^a$", "(?s)a.b", r"(?-u)[^\x00-\xff]", r"(?-u)[\x80-\xff]$"];
            let patterns = patterns.map(str::to_owned);
            let (set, together) = (RegexSet::new(&patterns).unwrap(), Together::new(&patterns).unwrap());
            let text = [text.as_bytes(), &bytes].concat();
            let wanted: Vec<usize> = set.matches(&text).iter().collect();
            prop_assert_eq!(together.matches(&text), wanted);
            prop_assert_eq!(together.is_match(&text), set.is_match(&text));
        }
    }
}
