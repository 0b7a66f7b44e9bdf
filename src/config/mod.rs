//! `config.toml`: as it is written, then as it is meant; every fault is told at once.

mod limits;
mod redaction;
mod trouble;
mod values;
mod written;

use crate::tape::adapting::Waits;
use crate::tape::graph;
use crate::tape::matching::{Repeat, Rule, Rules};
use crate::tape::redact::printable;
use crate::tape::route::Route;
use crate::tape::secrets::Secrets;
use crate::tape::speaking::Policy;
use crate::tape::walk::{IdPlaces, PlacePattern};
pub use limits::Limits;
use redaction::People;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
pub use trouble::{Trouble, parse as parse_faults};
pub use values::{check_address, parse_connect_to};
use values::{check_host, parse_tunnel};
use written::{At, Written, WrittenRule};

/// The shipped file, which holds every default.
const SHIPPED: &str = include_str!("../../config.toml");

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, `host:port`.
    pub listen: String,
    /// The folder of the store.
    pub store: PathBuf,
    /// The folder of the cassettes.
    pub cassettes: PathBuf,
    /// The cassette that is meant when none is named.
    pub cassette: String,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// How long a client may take for its next step.
    pub client_timeout: Duration,
    /// How much a client may ask for.
    pub limits: Limits,
    /// The endpoints of Graph, in lower case.
    pub hosts: Vec<String>,
    /// The endpoint that the deck's own address stands for.
    pub reverse: String,
    /// What is recorded.
    pub routes: Vec<Route>,
    /// Hosts and ports that are reached though they are not public, or not at the port of HTTPS.
    pub tunnels: Vec<(String, u16)>,
    /// Addresses in place of resolving.
    pub connect_to: HashMap<String, String>,
    /// A file of more roots for the upstream.
    pub upstream_ca: Option<PathBuf>,
    /// How long Graph may take to begin an answer, in seconds.
    pub timeout: u64,
    /// Whether a recording keeps how long Graph takes.
    pub timings: bool,
    /// Whether a replay answers sign-in itself, and whether a recording opens connections to sign-in hosts.
    pub sign_in: [bool; 2],
    /// Whether repeats beyond the tape are misses.
    pub strict: bool,
    /// How minted ids are chosen.
    pub ids: Policy,
    /// How long programs are told to wait in a replay.
    pub waits: Waits,
    /// The trouble that a replay makes on demand.
    pub trouble: Trouble,
    /// What derived ids are computed from, and what is drawn is drawn from.
    pub seed: String,
    /// How messages are read: what need not be equal, what is an id, what is a secret.
    pub rules: Rules,
}

/// What is wrong with a configuration: every fault of it, a line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("{}: {why}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The file says things that cannot be meant.
    #[error("{} cannot be used:{}", .path.display(), .faults.iter().map(|fault| format!("\n  {fault}")).collect::<String>())]
    Faults {
        /// The file.
        path: PathBuf,
        /// Line and reason, for each.
        faults: Vec<String>,
    },
}

impl Config {
    /// Reads the settings: of `path`, or of `./config.toml` if there is one, over the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, or holds anything that is no setting.
    pub fn load(path: Option<&Path>) -> Result<Self, Fault> {
        let file = path.unwrap_or(Path::new("config.toml"));
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, file),
            Err(fault) if path.is_none() && fault.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(fault) => Err(Fault::Unreadable { path: file.to_owned(), why: fault.to_string() }),
        }
    }

    /// Reads the settings of a text over the defaults; `path` is what faults call it.
    ///
    /// # Errors
    /// When it holds anything that is no setting.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Fault> {
        let (mut written, _) = Written::read(SHIPPED);
        let (own, mut faults) = Written::read(text);
        written.overlay(own);
        match written.check() {
            Ok(config) if faults.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(more) => faults.extend(more),
        }
        faults.sort();
        let faults = faults.into_iter().map(|(line, why)| format!("line {line}: {}", printable(&why))).collect();
        Err(Fault::Faults { path: path.to_owned(), faults })
    }
}

impl Default for Config {
    /// What the shipped `config.toml` says.
    fn default() -> Self {
        let (written, _) = Written::read(SHIPPED);
        written.check().expect("the shipped config.toml is tested")
    }
}

impl Written {
    fn overlay(&mut self, own: Self) {
        fn put<T>(below: &mut Option<T>, above: Option<T>) {
            if above.is_some() {
                *below = above;
            }
        }
        put(&mut self.listen, own.listen);
        put(&mut self.store, own.store);
        put(&mut self.cassettes, own.cassettes);
        put(&mut self.cassette, own.cassette);
        put(&mut self.body_limit, own.body_limit);
        put(&mut self.client_timeout, own.client_timeout);
        for (limit, own) in self.limits.iter_mut().zip(own.limits) {
            put(limit, own);
        }
        put(&mut self.hosts, own.hosts);
        put(&mut self.reverse, own.reverse);
        put(&mut self.routes, own.routes);
        put(&mut self.sign_in_offline, own.sign_in_offline);
        put(&mut self.sign_in_open, own.sign_in_open);
        put(&mut self.strict, own.strict);
        put(&mut self.ids, own.ids);
        put(&mut self.seed, own.seed);
        put(&mut self.retry_after, own.retry_after);
        put(&mut self.latency, own.latency);
        put(&mut self.throttle, own.throttle);
        put(&mut self.faults, own.faults);
        put(&mut self.tunnels, own.tunnels);
        put(&mut self.connect_to, own.connect_to);
        put(&mut self.upstream_ca, own.upstream_ca);
        put(&mut self.timeout, own.timeout);
        put(&mut self.timings, own.timings);
        put(&mut self.also, own.also);
        put(&mut self.never, own.never);
        put(&mut self.redaction.people, own.redaction.people);
        put(&mut self.redaction.off, own.redaction.off);
        put(&mut self.redaction.headers, own.redaction.headers);
        put(&mut self.redaction.members, own.redaction.members);
        put(&mut self.redaction.rules, own.redaction.rules);
        own.rules.into_iter().flatten().for_each(|rule| self.overlay_rule(rule));
    }

    fn overlay_rule(&mut self, mut rule: WrittenRule) {
        rule.own = true;
        let rules = self.rules.get_or_insert_default();
        rules.retain(|other| other.own || !rule.is_for_the_route_of(other));
        rules.push(rule);
    }

    fn check(self) -> Result<Config, Vec<written::Fault>> {
        let mut faults = Vec::new();
        let listen = each("listen", vec![had(self.listen)], &mut faults, check_listen);
        let (ids, waits) = check_replay(&had(self.ids), self.retry_after, &mut faults);
        let trouble = trouble::check([self.latency, self.throttle].map(had), self.faults, &mut faults);
        let routes = each("record.routes", had(self.routes).value, &mut faults, parse_route);
        let hosts = each("graph.hosts", had(self.hosts).value, &mut faults, check_host);
        let reverse = each("graph.reverse", vec![had(self.reverse)], &mut faults, check_host);
        let tunnels = each("record.tunnels", had(self.tunnels).value, &mut faults, parse_tunnel);
        let connect_to = each("record.connect_to", had(self.connect_to).value, &mut faults, parse_connect_to);
        let (secrets, people) = redaction::check(self.redaction, &mut faults);
        let rules = had(self.rules).into_iter().filter_map(|rule| rule.check(&secrets, &mut faults)).collect();
        let [also, never] = check_ids(self.also, self.never, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Config {
            listen: one(listen),
            store: had(self.store).value.into(),
            cassettes: had(self.cassettes).value.into(),
            cassette: had(self.cassette).value,
            client_timeout: Duration::from_secs(had(self.client_timeout).value),
            limits: Limits::check(self.limits),
            body_limit: usize::try_from(had(self.body_limit).value).unwrap_or(usize::MAX),
            hosts,
            reverse: one(reverse),
            routes,
            tunnels,
            connect_to: connect_to.into_iter().collect(),
            upstream_ca: Some(had(self.upstream_ca).value).filter(|path| !path.is_empty()).map(PathBuf::from),
            timeout: had(self.timeout).value,
            sign_in: [self.sign_in_offline, self.sign_in_open].map(|key| had(key).value),
            waits,
            trouble,
            timings: had(self.timings).value,
            strict: had(self.strict).value,
            ids,
            seed: had(self.seed).value,
            rules: Rules::new(rules, IdPlaces { also, never, people: people == People::Pseudonym })
                .with_secrets(secrets),
        })
    }
}

fn check_ids(
    also: Option<At<Vec<At<String>>>>,
    never: Option<At<Vec<At<String>>>>,
    faults: &mut Vec<written::Fault>,
) -> [Vec<PlacePattern>; 2] {
    let lists = [("ids.also", also), ("ids.never", never)];
    lists.map(|(key, list)| each(key, had(list).value, faults, parse_id_place))
}

fn check_listen(text: &str) -> Result<String, String> {
    check_address(text).map(|()| text.to_owned())
}

fn had<T>(key: Option<T>) -> T {
    key.expect("the shipped config.toml has every key")
}

/// The one value of a list that was made of one, and checked.
fn one<T>(list: Vec<T>) -> T {
    list.into_iter().next().expect("one was checked")
}

fn each<T>(
    key: &str,
    list: Vec<At<String>>,
    faults: &mut Vec<written::Fault>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let parsed = list.into_iter().filter_map(|At { line, value }| {
        parse(&value).map_err(|why| faults.push((line, format!("{key}: {why}")))).ok()
    });
    parsed.collect()
}

impl WrittenRule {
    fn is_for_the_route_of(&self, other: &Self) -> bool {
        let route = |rule: &Self| rule.route.as_ref().map(|route| route.value.clone());
        route(self).is_some() && route(self) == route(other)
    }

    fn check(self, secrets: &Secrets, faults: &mut Vec<written::Fault>) -> Option<Rule> {
        let says = self.ignore.is_some() || self.headers.is_some() || self.order.is_some() || self.repeat.is_some();
        let Some(route) = self.route.filter(|_| says) else {
            let example = "route = \"POST /**/userStatuses\" and ignore = [\"json:/status\"]";
            let why = format!("match: a rule has a route and says something of it, such as {example}");
            faults.push((self.line, why));
            return None;
        };
        let items = |list: Option<At<Vec<At<String>>>>| list.map(|list| list.value).unwrap_or_default();
        let ignore = each("match.ignore", items(self.ignore), faults, parse_place);
        let headers = each("match.headers", items(self.headers), faults, |text| check_header(text, secrets));
        let unordered = one_of("match.order", self.order, [("recorded", false), ("any", true)], faults);
        let repeats = [("derive", Repeat::Derive), ("last", Repeat::Last), ("miss", Repeat::Miss)];
        let repeat = one_of("match.repeat", self.repeat, repeats, faults);
        let parsed = Route::parse(&route.value).map_err(|why| faults.push((route.line, format!("match.route: {why}"))));
        let line = self.own.then_some(self.line);
        Some(Rule { route: parsed.ok()?, ignore, headers, unordered, repeat, line })
    }
}

/// Reads a place of a request.
fn parse_place(text: &str) -> Result<PlacePattern, String> {
    let wrong = || format!("`{text}` names no place: write `json:/POINTER`, `query:NAME` or `header:NAME`");
    PlacePattern::parse(text).ok_or_else(wrong)
}

/// Sees that a header can be compared: that it has a name, and is on tape.
fn check_header(text: &str, secrets: &Secrets) -> Result<String, String> {
    let name = http::HeaderName::try_from(text).map_err(|_| format!("`{text}` is no name of a header"))?;
    match name.as_str() {
        name if secrets.hide_header(name) => Err(format!("`{name}` is a secret, and never on tape")),
        name if graph::is_passing_request_header(name) => {
            Err(format!("`{name}` differs from run to run, and is not on tape"))
        }
        name => Ok(name.to_owned()),
    }
}

/// What one of some words means.
fn one_of<T: Copy, const N: usize>(
    key: &str,
    written: Option<At<String>>,
    words: [(&str, T); N],
    faults: &mut Vec<written::Fault>,
) -> Option<T> {
    let written = written?;
    let meant = words.iter().find(|(word, _)| *word == written.value).map(|(_, meant)| *meant);
    if meant.is_none() {
        let words = words.map(|(word, _)| format!("`{word}`")).join(", ");
        faults.push((written.line, format!("{key}: `{}` is none of {words}", written.value)));
    }
    meant
}

/// Reads `json:/POINTER`, a place in bodies.
fn parse_id_place(text: &str) -> Result<PlacePattern, String> {
    let wrong = || format!("`{text}` names no place in a body: write `json:/POINTER`, such as json:/value/*/policy");
    PlacePattern::parse(text).filter(|pattern| matches!(pattern, PlacePattern::Json(_))).ok_or_else(wrong)
}

fn parse_route(text: &str) -> Result<Route, String> {
    Route::parse(text).map_err(|why| why.to_string())
}

fn check_replay(ids: &At<String>, waits: Option<At<String>>, faults: &mut Vec<written::Fault>) -> (Policy, Waits) {
    let policy = parse_policy(&ids.value).unwrap_or_else(|why| {
        faults.push((ids.line, format!("replay.ids: {why}")));
        Policy::default()
    });
    let words = [("zero", Waits::Zero), ("recorded", Waits::Recorded)];
    (policy, one_of("replay.retry_after", waits, words, faults).unwrap_or_default())
}

/// Reads the name of a policy for ids.
///
/// # Errors
/// Words for what is wrong.
pub fn parse_policy(text: &str) -> Result<Policy, String> {
    match text {
        "derive" => Ok(Policy::Derive),
        "recorded" => Ok(Policy::Recorded),
        "random" => Ok(Policy::Random),
        other => Err(format!("`{other}` is none of `derive`, `recorded` and `random`")),
    }
}

#[cfg(test)]
mod tests {
    use super::written::{GRAPH_KEYS, IDS_KEYS, LIMIT_KEYS, RECORD_KEYS, REDACT_KEYS, REPLAY_KEYS, ROOT_KEYS};
    use super::*;

    #[test]
    fn the_shipped_file_has_every_key_and_each_is_commented() {
        let (written, faults) = Written::read(SHIPPED);
        assert!(faults.is_empty() && written.check().is_ok());
        let lines: Vec<&str> = SHIPPED.lines().collect();
        for key in [&ROOT_KEYS[..6], &LIMIT_KEYS, &GRAPH_KEYS, &RECORD_KEYS, &REPLAY_KEYS, &IDS_KEYS, &REDACT_KEYS[..4]]
            .concat()
        {
            let at = lines.iter().position(|line| line.starts_with(&format!("{key} = "))).expect(key);
            assert!(lines[at - 1].starts_with('#'), "{key} has no comment");
        }
    }

    #[test]
    fn a_key_left_out_has_its_default() {
        let config = Config::parse("listen = \"127.0.0.1:9\"\n[replay]\nids = \"recorded\"\n", Path::new("c")).unwrap();
        assert_eq!(config.listen, "127.0.0.1:9");
        assert_eq!(config.ids, Policy::Recorded);
        assert_eq!(config.body_limit, 8 * 1024 * 1024);
        assert_eq!(config.routes.len(), 2);
    }

    const WRONG_KEYS: &str = r#"
listen = "127.0.0.1:8080"
store = 7
body_limit = 0
xyz = 1
limits.headers = 0

[record]
routes = "POST /x"
timeout = "a"
upstream-ca = "x"

[graph]
hosts = ["a", 1]

[[match]]
route = "POST /x"
ignored = []
"#;
    const WRONG_VALUES: &str = r#"
listen = "8080"

[record]
routes = ["POST", "GET /["]
connect_to = ["graph.microsoft.com"]
tunnels = ["https://intranet"]

[replay]
ids = "derived"
retry_after = "never"

[ids]
also = ["json:policy"]
never = ["query:a"]

[[match]]
route = "x"
ignore = ["headers:prefer", "json:/a"]
headers = ["Authorization", "Date", "a b", "Prefer"]
order = "none"
repeat = "always"

[[match]]
route = "GET /x"
"#;

    #[test]
    fn every_fault_is_told_at_once_with_its_line() {
        let syntax = "listen = \nstore = \"x\"\n";
        let faults = [WRONG_KEYS, WRONG_VALUES, syntax]
            .map(|text| Config::parse(text, Path::new("config.toml")).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
    }

    #[test]
    fn faults_of_the_rules_for_secrets_are_told_with_their_line() {
        let wrong_secrets = r#"
[redact]
people = "pseudonyms"
off = ["github-tokens", "jwt", "whatever"]
headers = ["X My Key", "*"]
members = ["pin code", ""]
hide = []

[[redact.rule]]
name = "ticket"

[[redact.rule]]
name = "jwt"
pattern = "TICKET-[0-9]+"

[[redact.rule]]
name = "ticket"
pattern = "TICKET-[0-9+"

[[redact.rule]]
name = "order"
pattern = "[0-9]*"

[[redact.rule]]
name = "order"
pattern = "ORDER-[0-9]+"

[[redact.rule]]
name = "order"
pattern = "ORDER-[0-9]+"
"#;
        insta::assert_snapshot!(Config::parse(wrong_secrets, Path::new("config.toml")).unwrap_err().to_string());
    }

    #[test]
    fn two_rules_for_one_route_add_up_and_take_the_place_of_the_shipped_one() {
        let rule =
            |place: &str| format!("[[match]]\nroute = \"POST /**/userStatuses\"\nignore = [\"json:/{place}\"]\n");
        let config = Config::parse(&(rule("a") + &rule("b")), Path::new("c")).unwrap();
        let ignored = config.rules.iter().filter(|rule| rule.route.as_str() == "POST /**/userStatuses");
        let ignored: Vec<String> = ignored.flat_map(|rule| &rule.ignore).map(ToString::to_string).collect();
        assert_eq!(ignored, ["json:/a", "json:/b"]);
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_named() {
        let fault = Config::load(Some(Path::new("no-such-file.toml"))).unwrap_err();
        assert!(fault.to_string().starts_with("no-such-file.toml: "));
    }
}
