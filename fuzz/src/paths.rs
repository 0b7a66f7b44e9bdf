//! Paths and keys: there is one normal form, which is its own, and every spelling of it is compared as it is.

use graphdeck::tape::graph::{self, Segment};
use graphdeck::tape::route::Route;
use graphdeck::tape::spelling::{self, Coding};
use std::fmt::Write;

/// Reads a path.
pub fn normalise(bytes: &[u8]) {
    let Ok(path) = std::str::from_utf8(bytes) else { return };
    let segments = graph::segments(path);
    let normal = print(&segments);
    assert_eq!(graph::segments(&normal), segments, "{normal}");
    assert_eq!(print(&graph::segments(&normal)), normal);
    assert_eq!(graph::segments(&format!("/{}/", path.replace('/', "//"))), segments);
    assert_eq!(graph::route_template(&normal), graph::route_template(path));
    assert_eq!(graph::route_path(&normal), graph::route_path(path));
    let keys: Vec<_> = graph::keys(&segments).collect();
    assert!(keys.iter().all(|(name, _)| !name.is_empty()));
    let encoded = spelling::encode(path, &[Coding::Url]);
    assert_eq!(graph::percent_decode(&encoded), path);
    let spelled: Vec<_> = spelling::every(path).collect();
    for (written, codings) in &spelled {
        assert_eq!(&spelling::encode(path, codings), written);
    }
    // To look for all of them would write each as often as there are ways: the last has all others before it.
    let (written, _) = spelled.last().expect("a text can be written as it is");
    let found = spelling::codings(path, written).expect("what is written is found");
    assert_eq!(&spelling::encode(path, &found), written);
    if let Ok(route) = Route::parse(path) {
        assert_eq!(route.as_str(), path);
        assert_eq!(route.matches("GET", &normal), route.takes("GET") && route.leads_to(&graph::route_path(path)));
    }
}

/// The normal form: a key in parentheses and quotes behind its name, or by itself where none can hold it.
fn print(segments: &[Segment<'_>]) -> String {
    let mut path = String::new();
    let mut holds_key = false;
    for segment in segments {
        match segment {
            Segment::Name(name) => write!(path, "/{}", spelling::encode(name, &[Coding::Url])),
            Segment::Key(key) if holds_key => {
                write!(path, "('{}')", spelling::encode(key, &[Coding::Quotes, Coding::Url]))
            }
            Segment::Key(key) => write!(path, "/{}", spelling::encode(key, &[Coding::Url])),
        }
        .expect("a text takes more");
        holds_key = matches!(segment, Segment::Name(name) if !name.contains('('));
    }
    path
}
