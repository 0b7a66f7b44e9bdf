"""Creates a user status, reads it, changes it and removes it, with httpx over HTTP/2."""

import os
import sys

import httpx

GRAPH = os.environ.get("GRAPH_URL", "https://graph.microsoft.com")
STATUSES = f"/beta/deviceManagement/deviceConfigurations/{sys.argv[1]}/userStatuses"
STATUS = {
    "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
    "userDisplayName": 'Måns "42" Ångström',
    "devicesCount": 12,
    "status": "compliant",
    "lastReportedDateTime": "2026-11-24T10:00:00Z",
}
CHANGE = {"@odata.type": STATUS["@odata.type"], "status": "conflict"}
HEADERS = {"Authorization": "Bearer " + os.environ.get("GRAPH_TOKEN", "no-token")}

with httpx.Client(http2=True, base_url=GRAPH, headers=HEADERS, follow_redirects=True) as client:

    def ask(method, url, entity=None):
        response = client.request(method, url, json=entity)
        response.raise_for_status()
        # Without TLS there is nothing to agree on HTTP/2 by.
        assert response.http_version == ("HTTP/2" if GRAPH.startswith("https:") else "HTTP/1.1")
        return response.json() if response.content else None

    def told(entity):
        return f"{entity['userDisplayName']} {entity['status']}".replace('"', "")

    created = ask("POST", STATUSES, STATUS)
    url = f"{STATUSES}/{created['id']}"
    print("POST", created["id"], told(created))
    print("GET", told(ask("GET", url)))
    print("PATCH", told(ask("PATCH", url, CHANGE)))
    ask("DELETE", url)
    print("DELETE")
