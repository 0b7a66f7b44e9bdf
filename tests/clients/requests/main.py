"""Creates a user status, reads it, changes it and removes it, with requests."""

import os
import sys

import requests

GRAPH = os.environ.get("GRAPH_URL", "https://graph.microsoft.com")
STATUSES = f"{GRAPH}/beta/deviceManagement/deviceConfigurations/{sys.argv[1]}/userStatuses"
STATUS = {
    "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
    "userDisplayName": 'Måns "42" Ångström',
    "devicesCount": 12,
    "status": "compliant",
    "lastReportedDateTime": "2026-11-24T10:00:00Z",
}
CHANGE = {"@odata.type": STATUS["@odata.type"], "status": "conflict"}

session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ.get("GRAPH_TOKEN", "no-token")


def ask(method, url, entity=None):
    response = session.request(method, url, json=entity)
    response.raise_for_status()
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
