//! What the tests stand on: a Graph, a deck, clients.

pub mod by_hand;
pub mod certificates;
pub mod client;
pub mod deck;
pub mod disks;
pub mod documented;
pub mod entities;
pub mod frames;
pub mod graph;
pub mod http2;
pub mod http2_frames;
pub mod http2_requests;
pub mod installed;
pub mod load;
pub mod program;
pub mod shelf;
pub mod tenant;

/// Ids that a program chose.
pub const CONFIG: &str = "0385114b-b48f-4800-a046-f249eaba24b1";
pub const OTHER_CONFIG: &str = "11111111-2222-4333-8444-555555555555";

/// The path of a program's POST.
pub fn statuses(config: &str) -> String {
    format!("/beta/deviceManagement/deviceConfigurations/{config}/userStatuses")
}

/// A userStatus as a program sends it.
pub fn status(name: &str) -> String {
    format!(r##"{{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus","userDisplayName":"{name}"}}"##)
}

/// How many rounds a test of chance takes: few by default, as many as `GRAPHDECK_ROUNDS` says.
pub fn rounds(few: usize) -> usize {
    std::env::var("GRAPHDECK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(few)
}

/// Whether a program is there that a test needs besides curl. CI installs them all; elsewhere the test says that it
/// is left out (straight to standard error, since cargo shows nothing else of a test that passes).
pub fn have(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    assert!(found || std::env::var_os("CI").is_none(), "{program} is missing, and CI leaves no test out");
    if !found {
        left_out(&format!("{program} is not installed"));
    }
    found
}

/// Says that this test is left out.
pub fn left_out(why: &str) {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    std::io::stderr().write_all(format!("left out, because {why}: {test}\n").as_bytes()).unwrap();
}
