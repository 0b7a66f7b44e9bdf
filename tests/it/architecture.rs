//! The floors: a room names only rooms below it, and the pure floor touches nothing outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top floor to the bottom one; rooms on one floor do not name one another.
const FLOORS: [&[&str]; 8] = [
    &["main"],
    &["cli", "deck"],
    &["app"],
    &["child", "config"],
    &["proxy"],
    &["session"],
    &["formats", "store", "wire"],
    &["platform", "tape"],
];

/// What config and child may name besides the floors below: they stand beside the house, not on a floor of it.
const BESIDE: [(&str, &[&str]); 2] = [("config", &["tape"]), ("child", &["platform", "wire"])];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn house() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src);
    let named = files.into_iter().map(|path| {
        let inside = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        let room = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        (inside, room, fs::read_to_string(path).unwrap())
    });
    named.filter(|(_, room, _)| room != "lib").collect()
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a file names: `crate::room`, also in braces.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let code = without_comments(text);
    let mut rooms = BTreeSet::new();
    for part in code.split("crate::").skip(1).chain(code.split("graphdeck::").skip(1)) {
        let list = part.strip_prefix('{').map_or(part, |braces| braces.split(';').next().unwrap());
        let names: Vec<&str> = if part.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for name in names {
            let room: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !room.is_empty() && room != "clone" {
                rooms.insert(room);
            }
        }
    }
    rooms
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|floor| floor.contains(&room)).unwrap_or_else(|| panic!("`{room}` stands on no floor"))
}

#[test]
fn a_room_names_only_rooms_below_it() {
    for (file, room, text) in house() {
        for named in rooms_named(&text).into_iter().filter(|named| *named != room) {
            assert!(floor(&named) > floor(&room), "{file} ({room}) names {named}, which is not below it");
            if let Some((_, allowed)) = BESIDE.iter().find(|(beside, _)| *beside == room) {
                assert!(allowed.contains(&named.as_str()), "{file} names {named}");
            }
        }
    }
}

/// The files that a file names, within its room: `super::file`, also in braces, and `crate::room::file`.
fn neighbours(file: &str, room: &str, text: &str, house: &[(String, String, String)]) -> Vec<String> {
    let code = without_comments(text.split("#[cfg(test)]\nmod tests").next().unwrap());
    let inside = house.iter().filter(|(other, own, _)| own == room && other != file && other.contains('/'));
    let named = inside.filter(|(other, ..)| {
        let name = other.rsplit('/').next().unwrap().trim_end_matches(".rs");
        let said = [format!("super::{name}::"), format!("crate::{room}::{name}::"), format!("super::{{{name}::")];
        let used = [format!("use super::{name};"), format!("use super::{{{name}"), format!(" {name}::{{self")];
        said.iter().chain(&used).any(|words| code.contains(words.as_str()))
    });
    named.map(|(other, ..)| other.clone()).collect()
}

#[test]
fn no_files_of_a_room_name_one_another_in_a_circle() {
    fn visit(file: &str, edges: &std::collections::BTreeMap<String, Vec<String>>, path: &mut Vec<String>) {
        assert!(!path.iter().any(|seen| seen == file), "a circle: {} -> {file}", path.join(" -> "));
        path.push(file.to_owned());
        edges[file].iter().for_each(|next| visit(next, edges, path));
        path.pop();
    }
    let house = house();
    let edges = house.iter().map(|(file, room, text)| (file.clone(), neighbours(file, room, text, &house))).collect();
    for (file, ..) in &house {
        visit(file, &edges, &mut Vec::new());
    }
}

#[test]
fn tape_and_formats_are_pure() {
    for (file, room, text) in house().into_iter().filter(|(_, room, _)| room == "tape" || room == "formats") {
        for outside in [
            "std::fs",
            "std::net",
            "std::time",
            "std::env",
            "std::process",
            "std::thread",
            "tokio",
            "hyper",
            "async ",
            "rand",
            "SystemTime",
        ] {
            let used = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(outside));
            assert!(!used, "{file} ({room}) uses {outside}");
        }
    }
}

#[test]
fn the_player_holds_no_way_to_the_network() {
    for (file, _, text) in house() {
        if file == "session/replay.rs" {
            assert_eq!(rooms_named(&text).into_iter().collect::<Vec<_>>(), ["tape"], "{file}");
            assert!(!text.contains("async fn") && !text.contains(".await"), "{file} has something to await");
        }
    }
}

#[test]
fn each_large_dependency_has_one_home() {
    for (name, home) in [
        ("sled", "store/"),
        ("rcgen", "wire/"),
        ("x509_parser", "wire/"),
        ("clap", "cli/"),
        ("saphyr_parser", "formats/yaml.rs"),
        ("toml", "config/written.rs"),
    ] {
        for (file, _, text) in house().into_iter().filter(|(file, ..)| !file.starts_with(home)) {
            assert!(
                !text.contains(&format!("use {name}::")) && !text.contains(&format!(" {name}::")),
                "{file} uses {name}"
            );
        }
    }
}

#[test]
fn every_file_opens_with_a_sentence_and_has_one_job() {
    for (file, _, text) in house() {
        assert!(text.starts_with("//! "), "{file} does not say what it is for");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().count();
        assert!(code <= 400, "{file} has {code} lines before its tests: is there a second job in it?");
    }
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for (file, ..) in house() {
        let name = file.rsplit('/').next().unwrap();
        if name != "mod.rs" {
            assert!(map.contains(name), "src/lib.rs does not show {file}");
        }
    }
}
