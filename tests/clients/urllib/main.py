"""Creates a user status, reads it, changes it and removes it, with what Python brings along."""

import json
import os
import sys
import urllib.request

GRAPH = os.environ.get("GRAPH_URL", "https://graph.microsoft.com")
STATUSES = f"{GRAPH}/beta/deviceManagement/deviceConfigurations/{sys.argv[1]}/userStatuses"
HEADERS = {
    "Authorization": "Bearer " + os.environ.get("GRAPH_TOKEN", "no-token"),
    "Content-Type": "application/json",
}
STATUS = {
    "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
    "userDisplayName": 'Måns "42" Ångström',
    "devicesCount": 12,
    "status": "compliant",
    "lastReportedDateTime": "2026-11-24T10:00:00Z",
}
CHANGE = {"@odata.type": STATUS["@odata.type"], "status": "conflict"}


def ask(method, url, entity=None):
    body = json.dumps(entity).encode() if entity else None
    with urllib.request.urlopen(urllib.request.Request(url, body, HEADERS, method=method)) as response:
        return json.loads(response.read() or "null")


def told(entity):
    return f"{entity['userDisplayName']} {entity['status']}".replace('"', "")


created = ask("POST", STATUSES, STATUS)
url = f"{STATUSES}/{created['id']}"
print("POST", created["id"], told(created))
print("GET", told(ask("GET", url)))
print("PATCH", told(ask("PATCH", url, CHANGE)))
ask("DELETE", url)
print("DELETE")
