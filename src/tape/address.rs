//! Where a request goes, keys aside.

use super::matching::{Key, part};
use super::walk::{Kind, Leaf, Place};
use std::collections::HashMap;

/// Where a request goes, keys aside: by this a miss finds what it might have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The key of method, host and path.
    pub route: Key,
    /// The key of the path behind the version.
    pub names: Key,
}

impl Address {
    /// The address of a request that was walked.
    #[must_use]
    pub fn of(leaves: &[Leaf<'_>]) -> Self {
        let (mut route, mut behind_version) = (Vec::with_capacity(256), Vec::with_capacity(256));
        Self::write(leaves, &mut route, &mut behind_version);
        Self::of_texts(&route, &behind_version)
    }

    fn of_texts(route: &[u8], names: &[u8]) -> Self {
        Self { route: Key::of_bytes(route), names: Key::of_bytes(names) }
    }

    /// Writes down what the address is the keys of.
    fn write(leaves: &[Leaf<'_>], route: &mut Vec<u8>, names: &mut Vec<u8>) {
        for leaf in leaves {
            let text = match (leaf.kind, &leaf.place) {
                (Kind::Word, _) => leaf.text.as_ref(),
                (Kind::Key, _) => "{}",
                // A function is told by its name; its arguments may differ as a query may.
                (Kind::Text, Place::Path(_)) => leaf.text.split('(').next().unwrap_or_default(),
                _ => continue,
            };
            part(route, text.as_bytes());
            if matches!(leaf.place, Place::Path(number) if number > 1) {
                part(names, text.as_bytes());
            }
        }
    }
}

/// The addresses of the requests before, most of which come again.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: HashMap<Vec<u8>, Address>,
    texts: [Vec<u8>; 2],
}

impl Addresses {
    /// How many are known at most.
    const MOST: usize = 1000;

    /// The address of a request that was walked.
    pub(super) fn of(&mut self, leaves: &[Leaf<'_>]) -> Address {
        let Self { known, texts: [route, names] } = self;
        route.clear();
        names.clear();
        Address::write(leaves, route, names);
        if let Some(address) = known.get(route) {
            return *address;
        }
        let address = Address::of_texts(route, names);
        if known.len() < Self::MOST {
            known.insert(route.clone(), address);
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Request};
    use crate::tape::walk::{self, View};

    const A: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";
    const B: &str = "0385114b-b48f-4800-a046-f249eaba24b1";

    fn leaf(place: Place, kind: Kind, text: &str) -> Leaf<'_> {
        Leaf { place, kind, text: text.into() }
    }

    #[test]
    fn an_address_that_is_known_again_is_the_one_that_would_be_made() {
        let mut addresses = Addresses::default();
        for (method, host, name, key) in [
            ("GET", "h", "a", "1"),
            ("GET", "h", "a", "2"),
            ("GET", "g", "a", "1"),
            ("GET", "h", "b", "1"),
            ("PUT", "h", "a", "1"),
        ] {
            let leaves = [
                leaf(Place::Method, Kind::Word, method),
                leaf(Place::Host, Kind::Word, host),
                leaf(Place::Path(1), Kind::Word, "beta"),
                leaf(Place::Path(2), Kind::Word, name),
                leaf(Place::Path(3), Kind::Key, key),
            ];
            assert_eq!(addresses.of(&leaves), Address::of(&leaves), "{method} {host} {name} {key}");
        }
        assert_eq!(addresses.known.len(), 4);
    }
    #[test]
    fn an_address_is_method_host_and_names() {
        let address = |line: &str, host: &str| {
            let (method, target) = line.split_once(' ').unwrap();
            let (headers, body) = (Headers::default(), "1".into());
            let request = Request { method: method.into(), host: host.into(), target: target.into(), headers, body };
            Address::of(&walk::leaves(&request, &View::default()))
        };
        let one = address(&format!("POST /beta/x/{A}/userStatuses?a=1"), "h");
        assert_eq!(one, address(&format!("POST /beta/X('{B}')/userStatuses"), "h"));
        for other in ["GET /beta/x/a.1.2.3.4/userStatuses", "POST /v1.0/x/{A}/userStatuses"] {
            let other = address(&other.replace("{A}", A).replace("a.1.2.3.4", A), "h");
            assert!(one.route != other.route && one.names == other.names);
        }
        assert_ne!(one.names, address(&format!("POST /beta/y/{A}/userStatuses"), "h").names);
    }
}
