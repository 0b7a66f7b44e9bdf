// Creates a user status, reads it, changes it and removes it, with what Java brings along.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.io.PrintStream;

public class Client {
    private static final String TYPE = "\"@odata.type\":\"#microsoft.graph.deviceConfigurationUserStatus\"";
    private static final HttpClient CLIENT = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NORMAL).build();

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        String graph = System.getenv().getOrDefault("GRAPH_URL", "https://graph.microsoft.com");
        String statuses = graph + "/beta/deviceManagement/deviceConfigurations/" + arguments[0] + "/userStatuses";
        String created = ask("POST", statuses, "{" + TYPE + ",\"userDisplayName\":\"M\\u00e5ns \\\"42\\\" \\u00c5ngstr\\u00f6m\","
            + "\"devicesCount\":12,\"status\":\"compliant\",\"lastReportedDateTime\":\"2026-11-24T10:00:00Z\"}");
        String url = statuses + "/" + member(created, "id");
        out.println("POST " + member(created, "id") + " " + told(created));
        out.println("GET " + told(ask("GET", url, "")));
        out.println("PATCH " + told(ask("PATCH", url, "{" + TYPE + ",\"status\":\"conflict\"}")));
        ask("DELETE", url, "");
        out.println("DELETE");
    }

    private static String ask(String method, String url, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url))
            .header("Authorization", "Bearer " + System.getenv().getOrDefault("GRAPH_TOKEN", "no-token"))
            .header("Content-Type", "application/json")
            .method(method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body));
        HttpResponse<String> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() >= 300) {
            throw new IllegalStateException(method + " " + url + ": " + response.statusCode() + " " + response.body());
        }
        return response.body().replace("\\\"", "");
    }

    private static String member(String entity, String name) {
        return entity.replaceAll(".*\"" + name + "\": *\"([^\"]*)\".*", "$1");
    }

    private static String told(String entity) {
        return member(entity, "userDisplayName") + " " + member(entity, "status");
    }
}
