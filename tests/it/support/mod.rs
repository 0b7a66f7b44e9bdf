//! What the tests stand on: a Graph, a deck, clients.

pub mod client;
pub mod deck;
pub mod documented;
pub mod graph;

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
