//! What was measured, as Markdown and as JSON: medians of rounds, and ratios within each round.

use crate::Fault;
use crate::load::Measured;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

#[derive(Debug)]
pub(crate) struct Report {
    facts: Vec<(String, String)>,
    rounds: u64,
    seconds: f64,
    pub(crate) compared: Vec<Compared>,
    pub(crate) peers: Vec<Compared>,
    /// Peers that did not run, and why.
    pub(crate) absent: Vec<String>,
    pub(crate) figures: Vec<Figure>,
}

/// One scenario: in each round what the limit did, and then the deck or a peer.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) name: String,
    pub(crate) rounds: Vec<[Measured; 2]>,
}

#[derive(Debug)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// What it is to be at most, if that is settled.
    target: String,
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    if values.is_empty() { f64::NAN } else { (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0 }
}

impl Compared {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rounds: Vec::new() }
    }

    fn of(&self, side: usize, field: fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| field(&round[side])).collect())
    }

    fn ratio(&self, field: fn(&Measured) -> f64) -> f64 {
        median(self.rounds.iter().map(|[limit, ours]| field(ours) / field(limit)).collect())
    }

    fn row(&self) -> String {
        let pair = |field: fn(&Measured) -> f64| format!("{:.0} / {:.0}", self.of(1, field), self.of(0, field));
        let cpu = |it: &Measured| it.cpu_us;
        format!(
            "| {} | {} | {:.2} | {} | {:.2} | {} | {} | {:.2} | {:.1} / {:.1} | {:.2} | {:.0} |",
            self.name,
            pair(|it| it.per_second),
            self.ratio(|it| it.per_second),
            pair(|it| it.capacity),
            self.ratio(|it| it.capacity),
            pair(|it| it.median_us),
            pair(|it| it.p99_us),
            self.ratio(|it| it.p99_us),
            self.of(1, cpu),
            self.of(0, cpu),
            self.ratio(cpu),
            self.of(1, |it| it.peak as f64 / 1_048_576.0),
        )
    }

    fn json(&self) -> Value {
        let side = |it: &Measured| {
            json!({
                "requests_per_second": it.per_second, "capacity_per_second": it.capacity, "median_us": it.median_us, "p99_us": it.p99_us,
                "cpu_us_per_request": it.cpu_us, "resident_bytes": it.resident, "peak_bytes": it.peak,
            })
        };
        let rounds: Vec<Value> =
            self.rounds.iter().map(|[limit, ours]| json!({"limit": side(limit), "measured": side(ours)})).collect();
        json!({
            "scenario": self.name,
            "ratios": {
                "requests_per_second": self.ratio(|it| it.per_second),
                "capacity": self.ratio(|it| it.capacity),
                "p99": self.ratio(|it| it.p99_us),
                "cpu_per_request": self.ratio(|it| it.cpu_us),
            },
            "rounds": rounds,
        })
    }
}

impl Figure {
    pub(crate) fn binary(deck: &str) -> Result<Self, Fault> {
        let value = std::fs::metadata(deck)?.len() as f64 / 1_048_576.0;
        Ok(Self { name: "release binary".into(), value, unit: "MiB", target: "12".into() })
    }
}

impl Report {
    pub(crate) fn new(facts: Vec<(String, String)>, rounds: u64, seconds: f64) -> Self {
        let (compared, peers, absent, figures) = Default::default();
        Self { facts, rounds, seconds, compared, peers, absent, figures }
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: &'static str, target: &str) {
        self.figures.push(Figure { name: name.to_owned(), value, unit, target: target.to_owned() });
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.facts {
            let _ = writeln!(text, "- {name}: {value}");
        }
        let _ =
            writeln!(text, "- rounds: {} of {} s, medians; each pair is measured / limit\n", self.rounds, self.seconds);
        for (title, rows) in [("deck", &self.compared), ("peer", &self.peers)] {
            if rows.is_empty() {
                continue;
            }
            let _ = writeln!(
                text,
                "| {title} | requests/s | ratio | capacity | ratio | median µs | p99 µs | ratio | CPU µs per request | ratio | peak MiB |\n\
                 |---|---|---|---|---|---|---|---|---|---|---|"
            );
            for row in rows {
                let _ = writeln!(text, "{}", row.row());
            }
            text.push('\n');
        }
        for absent in &self.absent {
            let _ = writeln!(text, "- not measured: {absent}");
        }
        let _ = writeln!(text, "| figure | value | at most |\n|---|---|---|");
        for Figure { name, value, unit, target } in &self.figures {
            let _ = writeln!(text, "| {name} | {value:.1} {unit} | {target} |");
        }
        text
    }

    /// Writes it as `PATH.md` and `PATH.json`.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Fault> {
        let figure = |it: &Figure| json!({"name": it.name, "value": it.value, "unit": it.unit, "at_most": it.target});
        let value = json!({
            "facts": self.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>(),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "deck": self.compared.iter().map(Compared::json).collect::<Vec<_>>(),
            "peers": self.peers.iter().map(Compared::json).collect::<Vec<_>>(),
            "not_measured": self.absent,
            "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
        });
        std::fs::write(path.with_extension("md"), self.markdown())?;
        std::fs::write(path.with_extension("json"), serde_json::to_string_pretty(&value)? + "\n")?;
        Ok(())
    }
}
