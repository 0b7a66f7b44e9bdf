//! `config.toml`: it is taken, or every fault is told with a line that is in it.

use graphdeck::config::{Config, Fault};
use graphdeck::tape::exchange::Headers;
use graphdeck::tape::matching::Reading;
use graphdeck::tape::scribe;
use std::path::Path;

/// Reads a configuration.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let config = match Config::parse(text, Path::new("config.toml")) {
        Ok(config) => config,
        Err(Fault::Unreadable { .. }) => panic!("nothing is read from a disk"),
        Err(Fault::Faults { faults, .. }) => return faults.iter().for_each(|fault| has_its_line(fault, text)),
    };
    // To read it takes milliseconds, as every route is compiled: so not each is read twice.
    if text.len().is_multiple_of(8) {
        let again = Config::parse(&format!("{text}\n# the end\n"), Path::new("config.toml"));
        let again = again.expect("a comment says nothing");
        let told =
            |config: &Config| format!("{} {:?} {:?} {:?}", config.listen, config.limits, config.hosts, config.routes);
        assert_eq!(told(&again), told(&config));
    }
    let request = super::messages::request("/beta/users/1?a=b", Headers::default(), r#"{"id":"1","token":"x"}"#);
    let taped = scribe::tape_request(request.expect("it is sound"), config.rules.secrets());
    let key = || Reading::of(&taped, &config.rules, &[]).exact().key;
    assert_eq!(key(), key());
}

fn has_its_line(fault: &str, text: &str) {
    super::messages::is_told_on_one_line(&fault);
    let line =
        fault.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).and_then(|(line, _)| line.parse().ok());
    let lines = text.split('\n').count();
    assert!(line.is_some_and(|line: usize| (1..=lines).contains(&line)), "{fault:?} of {lines} lines");
}
