//! The certificates as others check them: OpenSSL at its strictest, and Python's default since 3.13.

use crate::support::deck::Project;
use crate::support::have;
use std::process::{Command, Stdio};

/// The leaf that the deck shows to a client with these options.
fn leaf(project: &Project, address: &str, options: &[&str]) -> std::path::PathBuf {
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", address])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE-----").expect(&text);
    let end = text.find("-----END CERTIFICATE-----").unwrap();
    project.write("leaf.pem", format!("{}-----END CERTIFICATE-----\n", &text[begin..end]))
}

#[test]
fn certificates_verify_in_strict_checkers() {
    if !have("openssl") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let deck = project.replay("user-statuses", &[]);
    assert_eq!(project.run(&["ca", "--out", "ca.pem"]).code, Some(0));
    let address = deck.address.to_string();
    for (options, check) in [
        (["-servername", "graph.microsoft.com"].as_slice(), ["-verify_hostname", "graph.microsoft.com"]),
        (&["-servername", "login.microsoftonline.com"], ["-verify_hostname", "login.microsoftonline.com"]),
        (&["-servername", "localhost"], ["-verify_hostname", "localhost"]),
        (&["-noservername"], ["-verify_ip", "127.0.0.1"]),
    ] {
        let leaf = leaf(&project, &address, options);
        let verified = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver"])
            .args(check)
            .arg("-CAfile")
            .arg(project.file("ca.pem"))
            .arg(leaf)
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        assert!(verified.status.success(), "{options:?}: {said}");
    }
}

#[test]
fn a_client_as_strict_as_pythons_default_is_content() {
    if !have("python3") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let script = project.write(
        "strict.py",
        "import os, ssl, socket\n\
         context = ssl.create_default_context(cafile=os.environ['GRAPHDECK_CA'])\n\
         context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN\n\
         host, port = os.environ['GRAPHDECK_URL'].removeprefix('http://').split(':')\n\
         stream = socket.create_connection((host, int(port)))\n\
         print(context.wrap_socket(stream, server_hostname='graph.microsoft.com').version())\n",
    );
    let ended = project.run(&["replay", "user-statuses", "--", "python3", &script.to_string_lossy()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "TLSv1.3\n"), "{}", ended.stderr);
}

#[test]
fn names_that_are_not_graphs_get_no_certificate() {
    if !have("openssl") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let deck = project.replay("user-statuses", &[]);
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", &deck.address.to_string(), "-servername", "bank.example"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("BEGIN CERTIFICATE"));
}
