"""Writes the exchanges of a cassette as another tool wants them: stubs.py TOOL CASSETTE OUT."""

import json
import re
import sys


def exchanges(cassette):
    """Path, request body, status, headers and body of each recorded exchange, its ids put in."""
    with open(cassette, encoding="utf-8") as file:
        tape = json.load(file)

    def spoken(value):
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        return re.sub(r"\{\{([^}]+)\}\}", lambda found: tape["ids"][found[1]], text)

    for exchange in tape["exchanges"]:
        request, response = exchange["request"], exchange["response"]
        path = spoken(request["url"]).removeprefix("https://graph.microsoft.com")
        headers = {name: spoken(value) for name, value in response["headers"].items()}
        body = spoken(response["body"]["json"])
        headers["content-length"] = str(len(body))
        yield path, spoken(request["body"]["json"]), response["status"], headers, body


def mitmproxy(all_of_them, out):
    """Flows for its server replay."""
    from mitmproxy import http, io
    from mitmproxy.test import tflow

    with open(out, "wb") as file:
        writer = io.FlowWriter(file)
        for path, asked, status, headers, body in all_of_them:
            flow = tflow.tflow()
            flow.request = http.Request.make("POST", "http://graph.microsoft.com" + path, asked)
            flow.response = http.Response.make(status, body, headers)
            writer.add(flow)


def mountebank(all_of_them, port):
    """One imposter with a stub for each."""
    stubs = [
        {
            "predicates": [{"deepEquals": {"method": "POST", "path": path, "body": json.loads(asked)}}],
            "responses": [{"is": {"statusCode": status, "headers": headers, "body": body}}],
        }
        for path, asked, status, headers, body in all_of_them
    ]
    miss = {"statusCode": 501, "headers": {"content-length": "0"}}
    return {"imposters": [{"port": port, "protocol": "http", "defaultResponse": miss, "stubs": stubs}]}


def wiremock(all_of_them):
    """One file with a mapping for each."""
    return {
        "mappings": [
            {
                "request": {"method": "POST", "urlPath": path, "bodyPatterns": [{"equalToJson": asked}]},
                "response": {"status": status, "headers": headers, "body": body},
            }
            for path, asked, status, headers, body in all_of_them
        ]
    }


def mockserver(all_of_them):
    """A list of expectations."""
    return [
        {
            "httpRequest": {"method": "POST", "path": path, "body": {"type": "JSON", "json": asked}},
            "httpResponse": {
                "statusCode": status,
                "headers": {name: [value] for name, value in headers.items()},
                "body": body,
            },
        }
        for path, asked, status, headers, body in all_of_them
    ]


def hoverfly(all_of_them):
    """A simulation of version 5."""
    pairs = [
        {
            "request": {
                "method": [{"matcher": "exact", "value": "POST"}],
                "path": [{"matcher": "exact", "value": path}],
                "body": [{"matcher": "json", "value": asked}],
            },
            "response": {
                "status": status,
                "headers": {name: [value] for name, value in headers.items()},
                "body": body,
                "encodedBody": False,
            },
        }
        for path, asked, status, headers, body in all_of_them
    ]
    return {"data": {"pairs": pairs, "globalActions": {"delays": []}}, "meta": {"schemaVersion": "v5"}}


def httpmock(all_of_them):
    """YAML documents for its server; JSON strings are YAML too."""
    for path, asked, status, headers, body in all_of_them:
        response = {"status": status, "header": [{"name": n, "value": v} for n, v in headers.items()], "body": body}
        when = {"method": "POST", "path": path, "json_body": json.loads(asked)}
        yield "---\n" + json.dumps({"when": when, "then": response}) + "\n"


def main():
    tool, cassette, out, *port = sys.argv[1:]
    found = exchanges(cassette)
    if tool == "mitmproxy":
        mitmproxy(found, out)
        return
    with open(out, "w", encoding="utf-8") as file:
        if tool == "httpmock":
            file.writelines(httpmock(found))
        elif tool == "mountebank":
            json.dump(mountebank(found, int(port[0])), file)
        else:
            json.dump({"wiremock": wiremock, "mockserver": mockserver, "hoverfly": hoverfly}[tool](found), file)


main()
