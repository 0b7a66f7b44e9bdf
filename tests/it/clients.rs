//! Real clients end to end: each records against the stand-in and replays with the stand-in gone.

use crate::support::deck::Project;
use crate::support::graph::Graph;
use crate::support::{CONFIG, have, statuses};

/// Runs a program in both modes, and sees that it prints the same.
async fn record_and_replay(file: &str, text: String, runner: &[&str]) {
    let (project, graph) = (Project::new(), Graph::start().await);
    let path = project.write(file, text.replace("@URL@", &format!("https://graph.microsoft.com{}", statuses(CONFIG))));
    let path = path.to_string_lossy();
    let program = [runner, &[&path]].concat();
    let recorded = project.record_command("client", &graph, &["--all"], &program);
    assert_eq!(recorded.code, Some(0), "{}{}", recorded.stdout, recorded.stderr);
    assert!(recorded.stdout.contains("201"), "{}", recorded.stdout);
    assert!(recorded.stderr.contains("recorded 2 exchanges"), "{}", recorded.stderr);
    drop(graph);
    let replayed = project.run(&[&["replay", "client", "--strict", "--"], &program[..]].concat());
    assert_eq!((replayed.code, replayed.stdout), (Some(0), recorded.stdout), "{}", replayed.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python() {
    if !have("python3") {
        return;
    }
    let program = "import json, urllib.request\n\
        body = json.dumps({'userDisplayName': 'Måns', 'devicesCount': 1}).encode()\n\
        request = urllib.request.Request('@URL@', body, {'Content-Type': 'application/json', 'Authorization': 'Bearer t'})\n\
        with urllib.request.urlopen(request) as response:\n\
        \x20   created = json.load(response)\n\
        \x20   print(response.status, created)\n\
        with urllib.request.urlopen('@URL@/' + created['id']) as response:\n\
        \x20   print(response.status, json.load(response))\n";
    record_and_replay("client.py", program.to_owned(), &["python3"]).await;
}

/// Node 20's own client knows no proxy, so it takes the deck's address as its base URL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node() {
    if !have("node") {
        return;
    }
    let program = "const url = '@URL@'.replace('https://graph.microsoft.com', process.env.GRAPHDECK_URL);\n\
        const headers = { 'content-type': 'application/json', authorization: 'Bearer t' };\n\
        const created = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ userDisplayName: 'Ada' }) });\n\
        const entity = await created.json();\n\
        console.log(created.status, entity);\n\
        console.log(await (await fetch(`${url}/${entity.id}`)).json());\n";
    record_and_replay("client.mjs", program.to_owned(), &["node"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java() {
    if !have("java") {
        return;
    }
    let program = r#"import java.net.URI;
import java.net.http.*;

public class Client {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        String body = "{\"userDisplayName\":\"Ada\"}";
        HttpRequest post = HttpRequest.newBuilder(URI.create("@URL@")).POST(HttpRequest.BodyPublishers.ofString(body)).build();
        HttpResponse<String> created = client.send(post, HttpResponse.BodyHandlers.ofString());
        System.out.println(created.statusCode() + " " + created.body());
        String id = created.body().replaceAll(".*\"id\":\"([^\"]*)\".*", "$1");
        HttpRequest get = HttpRequest.newBuilder(URI.create("@URL@/" + id)).build();
        System.out.println(client.send(get, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"#;
    record_and_replay("Client.java", program.to_owned(), &["java"]).await;
}
