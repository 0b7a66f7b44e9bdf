//! What somebody can do who took the key of the deck's authority: sign for Graph's hosts and this machine, and no other.

use crate::support::certificates::{Shown, Signer, serve};
use crate::support::deck::Project;
use crate::support::have;
use rcgen::{CertificateParams, DnType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;

const BANK: &str = "bank.example";

/// What is shown, the host that a client asks for, and whether it must accept that.
fn cases(project: &Project) -> Vec<(&'static str, Shown, &'static str, bool)> {
    let thief = Signer::thief(project);
    let same = |_: &mut CertificateParams| {};
    let mut cases: Vec<_> =
        ["graph.microsoft.com", "canary.graph.microsoft.com", "login.microsoftonline.com", "localhost", "127.0.0.1"]
            .into_iter()
            .map(|host| ("a host that the deck opens", thief.sign(&[host], same), host, true))
            .collect();
    let by_common_name = thief.sign(&[], |params| params.distinguished_name.push(DnType::CommonName, BANK));
    cases.extend([
        ("another host", thief.sign(&[BANK], same), BANK, false),
        ("another host besides", thief.sign(&["graph.microsoft.com", BANK], same), BANK, false),
        ("another host by its common name alone", by_common_name, BANK, false),
        (
            "a host that ends otherwise",
            thief.sign(&["graph.microsoft.com.bank.example"], same),
            "graph.microsoft.com.bank.example",
            false,
        ),
        ("another machine's address", thief.sign(&["10.1.2.3"], same), "10.1.2.3", false),
        ("through an authority below", thief.below().sign(&[BANK], same), BANK, false),
        (
            "even Graph through an authority below",
            thief.below().sign(&["graph.microsoft.com"], same),
            "graph.microsoft.com",
            false,
        ),
        ("under a certificate of the thief's", Signer::thief(project).remade().sign(&[BANK], same), BANK, false),
    ]);
    cases
}

/// Serves every case, has `client` try them, and sees that it accepts what it must and no more.
///
/// The client gets the path of the root, and host and address for each case; it gives `accepted`, or the reason why not.
async fn each_case(client: impl AsyncFnOnce(&Project, &[(&str, SocketAddr)]) -> Vec<String>) {
    let project = Project::new();
    assert_eq!(project.run(&["ca", "--out", "ca.pem"]).code, Some(0));
    let (mut asked, mut expected) = (Vec::new(), Vec::new());
    for (what, shown, host, good) in cases(&project) {
        asked.push((host, serve(shown, rustls::ALL_VERSIONS).await));
        expected.push((what, good));
    }
    // And what the deck itself signs.
    project.write("cassettes/empty.json", "{\"graphdeck\":1,\"ids\":{},\"exchanges\":[]}");
    let deck = project.replay("empty", &[]);
    for host in ["graph.microsoft.com", "login.microsoftonline.com", "localhost", "127.0.0.1"] {
        asked.push((host, deck.address));
        expected.push(("the deck's own", true));
    }
    let outcomes = client(&project, &asked).await;
    assert_eq!(outcomes.len(), expected.len(), "{outcomes:?}");
    for (((what, good), (host, _)), outcome) in expected.into_iter().zip(asked).zip(outcomes) {
        assert_eq!(outcome == "accepted", good, "{what}, {host}: {outcome}");
        if what == "another host" {
            let outcome = outcome.to_lowercase().replace(' ', "");
            let named = ["permittedsubtree", "nameconstraint"].iter().any(|words| outcome.contains(words));
            assert!(named, "refused for another reason: {outcome}");
        }
    }
}

/// Runs a program that tries all cases, and prints a line for each.
async fn by_program(project: &Project, asked: &[(&str, SocketAddr)], program: &[&str]) -> Vec<String> {
    let mut command = tokio::process::Command::new(program[0]);
    command.args(&program[1..]).arg(project.file("ca.pem"));
    command.args(asked.iter().map(|(host, address)| format!("{host}@{}", address.port())));
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rustls_refuses_what_is_signed_for_others() {
    each_case(async |project, asked| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(project.file("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector =
            tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let mut outcomes = Vec::new();
        for (host, address) in asked {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from((*host).to_owned()).unwrap();
            let outcome = connector.connect(name, stream).await;
            outcomes.push(outcome.map_or_else(|why| why.to_string(), |_| "accepted".to_owned()));
        }
        outcomes
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_refuses_what_is_signed_for_others() {
    if !have("curl") {
        return;
    }
    each_case(async |project, asked| {
        let mut outcomes = Vec::new();
        for (host, address) in asked {
            let output = tokio::process::Command::new("curl")
                .args(["--silent", "--show-error", "--noproxy", "*", "--cacert"])
                .arg(project.file("ca.pem"))
                .args(["--connect-to", &format!("::{address}"), &format!("https://{host}/")])
                .output()
                .await
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 60)), "{host}: {code:?} {said}");
            outcomes.push(if code == Some(0) { "accepted".to_owned() } else { said });
        }
        outcomes
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_refuses_what_is_signed_for_others() {
    if !have("python3") {
        return;
    }
    let program = "import socket, ssl, sys\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        context.verify_flags |= ssl.VERIFY_X509_STRICT\n\
        for at in sys.argv[2:]:\n\
        \x20   host, port = at.split('@')\n\
        \x20   try:\n\
        \x20       context.wrap_socket(socket.create_connection(('127.0.0.1', int(port))), server_hostname=host).close()\n\
        \x20       print('accepted')\n\
        \x20   except ssl.SSLCertVerificationError as why:\n\
        \x20       print(why)\n";
    each_case(async |project, asked| {
        let script = project.write("ask.py", program);
        by_program(project, asked, &["python3", &script.to_string_lossy()]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_refuses_what_is_signed_for_others() {
    if !have("node") {
        return;
    }
    let program = "import fs from 'node:fs';\n\
        import net from 'node:net';\n\
        import tls from 'node:tls';\n\
        const ca = fs.readFileSync(process.argv[2]);\n\
        for (const at of process.argv.slice(3)) {\n\
        \x20 const [host, port] = at.split('@');\n\
        \x20 const name = net.isIP(host) ? {} : { servername: host };\n\
        \x20 await new Promise((done) => {\n\
        \x20   const stream = tls.connect({ socket: net.connect(port, '127.0.0.1'), host, ca, ...name });\n\
        \x20   const end = (text) => { console.log(text.replaceAll('\\n', ' ')); stream.destroy(); done(); };\n\
        \x20   stream.on('secureConnect', () => end('accepted'));\n\
        \x20   stream.on('error', (why) => end(why.message));\n\
        \x20 });\n\
        }\n";
    each_case(async |project, asked| {
        let script = project.write("ask.mjs", program);
        by_program(project, asked, &["node", &script.to_string_lossy()]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_refuses_what_is_signed_for_others() {
    if !have("java") {
        return;
    }
    let program = r#"import java.io.FileInputStream;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.*;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("root",
            CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(arguments[0])));
        TrustManagerFactory managers = TrustManagerFactory.getInstance("PKIX");
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        for (int i = 1; i < arguments.length; i++) {
            String[] at = arguments[i].split("@");
            Socket raw = new Socket("127.0.0.1", Integer.parseInt(at[1]));
            SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(raw, at[0], 443, true);
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            try {
                socket.startHandshake();
                System.out.println("accepted");
            } catch (SSLHandshakeException why) {
                System.out.println(why.getMessage());
            }
        }
    }
}
"#;
    each_case(async |project, asked| {
        let script = project.write("Ask.java", program);
        by_program(project, asked, &["java", &script.to_string_lossy()]).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_at_its_strictest_refuses_what_is_signed_for_others() {
    if !have("openssl") {
        return;
    }
    let project = Project::new();
    assert_eq!(project.run(&["ca", "--out", "ca.pem"]).code, Some(0));
    for (what, shown, host, good) in cases(&project) {
        let leaf = project.write("leaf.pem", shown.pem(0, 1));
        let above = project.write("above.pem", shown.pem(1, 9));
        let kind = if host.parse::<IpAddr>().is_ok() { "-verify_ip" } else { "-verify_hostname" };
        let output = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", kind, host, "-CAfile"])
            .arg(project.file("ca.pem"))
            .arg("-untrusted")
            .args([above, leaf])
            .output()
            .unwrap();
        assert_eq!(output.status.success(), good, "{what}, {host}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
