//! `config.toml` as it is written: the keys that a file has, each with its line, and what in it is no key.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A line, and what is wrong on it.
pub(super) type Fault = (usize, String);

/// A value and the line on which it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// The keys as a file has them; `None` where it has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) listen: Option<At<String>>,
    pub(super) store: Option<At<String>>,
    pub(super) cassettes: Option<At<String>>,
    pub(super) cassette: Option<At<String>>,
    pub(super) body_limit: Option<At<u64>>,
    pub(super) client_timeout: Option<At<u64>>,
    pub(super) limits: [Option<At<u64>>; 8],
    pub(super) hosts: Option<At<Vec<At<String>>>>,
    pub(super) reverse: Option<At<String>>,
    pub(super) routes: Option<At<Vec<At<String>>>>,
    pub(super) tunnels: Option<At<Vec<At<String>>>>,
    pub(super) connect_to: Option<At<Vec<At<String>>>>,
    pub(super) upstream_ca: Option<At<String>>,
    pub(super) timeout: Option<At<u64>>,
    pub(super) timings: Option<At<bool>>,
    pub(super) sign_in_offline: Option<At<bool>>,
    pub(super) sign_in_open: Option<At<bool>>,
    pub(super) strict: Option<At<bool>>,
    pub(super) ids: Option<At<String>>,
    pub(super) retry_after: Option<At<String>>,
    pub(super) latency: Option<At<String>>,
    pub(super) throttle: Option<At<String>>,
    pub(super) seed: Option<At<String>>,
    pub(super) also: Option<At<Vec<At<String>>>>,
    pub(super) never: Option<At<Vec<At<String>>>>,
    pub(super) redaction: WrittenRedaction,
    pub(super) rules: Option<Vec<WrittenRule>>,
    pub(super) faults: Option<Vec<WrittenFault>>,
}

/// A section `[[fault]]`.
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenFault {
    pub(super) line: usize,
    pub(super) route: Option<At<String>>,
    pub(super) answer: Option<At<String>>,
    pub(super) when: Option<At<String>>,
}

/// The section `[redact]`.
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenRedaction {
    pub(super) people: Option<At<String>>,
    pub(super) off: Option<At<Vec<At<String>>>>,
    pub(super) headers: Option<At<Vec<At<String>>>>,
    pub(super) members: Option<At<Vec<At<String>>>>,
    pub(super) rules: Option<Vec<WrittenShape>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct WrittenShape {
    pub(super) line: usize,
    pub(super) name: Option<At<String>>,
    pub(super) pattern: Option<At<String>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct WrittenRule {
    pub(super) line: usize,
    pub(super) route: Option<At<String>>,
    pub(super) ignore: Option<At<Vec<At<String>>>>,
    pub(super) headers: Option<At<Vec<At<String>>>>,
    pub(super) order: Option<At<String>>,
    pub(super) repeat: Option<At<String>>,
    /// Whether it stands in the user's file, not in the shipped one.
    pub(super) own: bool,
}

pub(super) const ROOT_KEYS: [&str; 15] = [
    "listen",
    "store",
    "cassettes",
    "cassette",
    "body_limit",
    "client_timeout",
    "limits",
    "graph",
    "record",
    "sign_in",
    "replay",
    "ids",
    "redact",
    "match",
    "fault",
];
/// In the order in which [`Written::limits`] has them.
pub(super) const LIMIT_KEYS: [&str; 8] = [
    "header_bytes",
    "headers",
    "connections",
    "requests_per_connection",
    "handshake_timeout",
    "header_timeout",
    "idle_timeout",
    "expansion",
];
pub(super) const GRAPH_KEYS: [&str; 2] = ["hosts", "reverse"];
pub(super) const RECORD_KEYS: [&str; 6] = ["routes", "tunnels", "connect_to", "upstream_ca", "timeout", "timings"];
pub(super) const SIGN_IN_KEYS: [&str; 2] = ["offline", "open"];
pub(super) const REPLAY_KEYS: [&str; 6] = ["strict", "ids", "seed", "retry_after", "latency", "throttle"];
pub(super) const IDS_KEYS: [&str; 2] = ["also", "never"];
pub(super) const REDACT_KEYS: [&str; 5] = ["people", "off", "headers", "members", "rule"];
pub(super) const SHAPE_KEYS: [&str; 2] = ["name", "pattern"];
pub(super) const FAULT_KEYS: [&str; 3] = ["route", "answer", "when"];
pub(super) const MATCH_KEYS: [&str; 5] = ["route", "ignore", "headers", "order", "repeat"];

impl Written {
    /// Reads a file's text; what is wrong in it comes as lines of words, in the order of the file.
    pub(super) fn read(text: &str) -> (Self, Vec<Fault>) {
        let mut reader = Reader { text, faults: Vec::new() };
        let (table, syntax) = DeTable::parse_recoverable(text);
        for fault in syntax {
            let line = fault.span().map_or(1, |span| reader.line(span.start));
            reader.fault(line, fault.message());
        }
        let mut written = Self::default();
        // Past a fault of syntax the keys may be anybody's.
        if reader.faults.is_empty() {
            written.fill(table.into_inner(), &mut reader);
        }
        (written, reader.faults)
    }

    fn fill_section(&mut self, name: &str, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        match name {
            "graph" => reader.section("graph", value, &GRAPH_KEYS, |reader, key, value| match key {
                "hosts" => self.hosts = reader.list("graph.hosts", value),
                _ => self.reverse = reader.string("graph.reverse", value),
            }),
            "record" => reader.section("record", value, &RECORD_KEYS, |reader, key, value| match key {
                "routes" => self.routes = reader.list("record.routes", value),
                "tunnels" => self.tunnels = reader.list("record.tunnels", value),
                "connect_to" => self.connect_to = reader.list("record.connect_to", value),
                "upstream_ca" => self.upstream_ca = reader.string("record.upstream_ca", value),
                "timeout" => self.timeout = reader.number("record.timeout", value),
                _ => self.timings = reader.truth("record.timings", value),
            }),
            "sign_in" => reader.section("sign_in", value, &SIGN_IN_KEYS, |reader, key, value| match key {
                "offline" => self.sign_in_offline = reader.truth("sign_in.offline", value),
                _ => self.sign_in_open = reader.truth("sign_in.open", value),
            }),
            "replay" => reader.section("replay", value, &REPLAY_KEYS, |reader, key, value| match key {
                "strict" => self.strict = reader.truth("replay.strict", value),
                "ids" => self.ids = reader.string("replay.ids", value),
                "retry_after" => self.retry_after = reader.string("replay.retry_after", value),
                "latency" => self.latency = reader.string("replay.latency", value),
                "throttle" => self.throttle = reader.string("replay.throttle", value),
                _ => self.seed = reader.string("replay.seed", value),
            }),
            "ids" => reader.section("ids", value, &IDS_KEYS, |reader, key, value| match key {
                "also" => self.also = reader.list("ids.also", value),
                _ => self.never = reader.list("ids.never", value),
            }),
            _ => reader.section("redact", value, &REDACT_KEYS, |reader, key, value| match key {
                "people" => self.redaction.people = reader.string("redact.people", value),
                "off" => self.redaction.off = reader.list("redact.off", value),
                "headers" => self.redaction.headers = reader.list("redact.headers", value),
                "members" => self.redaction.members = reader.list("redact.members", value),
                _ => self.redaction.rules = reader.shapes(value),
            }),
        }
    }

    fn fill(&mut self, root: DeTable<'_>, reader: &mut Reader<'_>) {
        for (key, value) in root {
            match key.get_ref().as_ref() {
                "listen" => self.listen = reader.string("listen", &value),
                "store" => self.store = reader.string("store", &value),
                "cassettes" => self.cassettes = reader.string("cassettes", &value),
                "cassette" => self.cassette = reader.string("cassette", &value),
                "body_limit" => self.body_limit = reader.number("body_limit", &value),
                "client_timeout" => self.client_timeout = reader.number("client_timeout", &value),
                "limits" => reader.section("limits", &value, &LIMIT_KEYS, |reader, key, value| {
                    let at = LIMIT_KEYS.iter().position(|known| *known == key).expect("only known keys are given");
                    self.limits[at] = reader.number(&format!("limits.{key}"), value);
                }),
                "match" => self.rules = reader.rules(&value),
                "fault" => self.faults = reader.fault_rules(&value),
                section if ROOT_KEYS.contains(&section) => self.fill_section(section, &value, reader),
                other => reader.unknown("", other, key.span().start, &ROOT_KEYS),
            }
        }
    }
}

/// Reads values of the kinds that keys have, and notes what is none.
struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, why: impl Into<String>) {
        self.faults.push((line, why.into()));
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count() + 1
    }

    fn value<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        kind: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<At<T>> {
        let line = self.line(value.span().start);
        let read = read(value.get_ref());
        if read.is_none() {
            let found: String = self.text[value.span()].chars().take(30).collect();
            self.fault(line, format!("{key}: {kind} is expected, and this is {found}"));
        }
        read.map(|value| At { line, value })
    }

    fn string(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<String>> {
        self.value(key, value, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    fn truth(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<bool>> {
        self.value(key, value, "true or false", |value| value.as_bool())
    }

    fn number(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<u64>> {
        self.value(key, value, "a number of 1 or more", |value| {
            let digits = value.as_integer()?;
            u64::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|number| *number > 0)
        })
    }

    fn list(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<At<Vec<At<String>>>> {
        let line = self.line(value.span().start);
        let Some(items) = value.get_ref().as_array() else {
            return self.value(key, value, "a list of texts in brackets", |_| None);
        };
        let items = items.iter().filter_map(|item| self.string(key, item)).collect();
        Some(At { line, value: items })
    }

    fn section(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        keys: &[&str],
        mut take: impl FnMut(&mut Self, &str, &Spanned<DeValue<'_>>),
    ) {
        let Some(table) = value.get_ref().as_table() else {
            self.value::<()>(name, value, &format!("a section [{name}]"), |_| None);
            return;
        };
        for (key, value) in table {
            if keys.contains(&key.get_ref().as_ref()) {
                take(self, key.get_ref(), value);
            } else {
                self.unknown(name, key.get_ref(), key.span().start, keys);
            }
        }
    }

    /// The sections of a list of them, each begun by `read` with the line on which it stands.
    fn sections<'v, 't, T>(
        &mut self,
        name: &str,
        value: &'v Spanned<DeValue<'t>>,
        mut read: impl FnMut(&mut Self, usize, &'v Spanned<DeValue<'t>>) -> T,
    ) -> Option<Vec<T>> {
        let Some(items) = value.get_ref().as_array() else {
            self.value::<()>(name, value, &format!("a list of sections [[{name}]]"), |_| None);
            return None;
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            let line = self.line(item.span().start);
            sections.push(read(self, line, item));
        }
        Some(sections)
    }

    fn shapes(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Vec<WrittenShape>> {
        self.sections("redact.rule", value, |reader, line, item| {
            let mut shape = WrittenShape { line, ..WrittenShape::default() };
            reader.section("redact.rule", item, &SHAPE_KEYS, |reader, key, value| match key {
                "name" => shape.name = reader.string("redact.rule.name", value),
                _ => shape.pattern = reader.string("redact.rule.pattern", value),
            });
            shape
        })
    }

    fn rules(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Vec<WrittenRule>> {
        self.sections("match", value, |reader, line, item| {
            let mut rule = WrittenRule { line, ..WrittenRule::default() };
            reader.section("match", item, &MATCH_KEYS, |reader, key, value| match key {
                "route" => rule.route = reader.string("match.route", value),
                "headers" => rule.headers = reader.list("match.headers", value),
                "order" => rule.order = reader.string("match.order", value),
                "repeat" => rule.repeat = reader.string("match.repeat", value),
                _ => rule.ignore = reader.list("match.ignore", value),
            });
            rule
        })
    }

    fn fault_rules(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Vec<WrittenFault>> {
        self.sections("fault", value, |reader, line, item| {
            let mut rule = WrittenFault { line, ..WrittenFault::default() };
            reader.section("fault", item, &FAULT_KEYS, |reader, key, value| match key {
                "route" => rule.route = reader.string("fault.route", value),
                "answer" => rule.answer = reader.string("fault.answer", value),
                _ => rule.when = reader.string("fault.when", value),
            });
            rule
        })
    }

    fn unknown(&mut self, section: &str, key: &str, at: usize, known: &[&str]) {
        let line = self.line(at);
        let hint = meant(key, known);
        let of = if section.is_empty() { String::new() } else { format!(" of [{section}]") };
        self.fault(line, format!("`{key}` is no key{of}; {hint}"));
    }
}

/// The known word that is meant by one that is not known, or all of them.
pub(super) fn meant(word: &str, known: &[&str]) -> String {
    let near = known.iter().copied().max_by(|a, b| strsim::jaro(a, word).total_cmp(&strsim::jaro(b, word)));
    match near.filter(|near| strsim::jaro(near, word) > 0.7) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}
