"""Creates a user status, reads it, changes it and removes it, with aiohttp."""

import asyncio
import os
import sys

import aiohttp

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
HEADERS = {"Authorization": "Bearer " + os.environ.get("GRAPH_TOKEN", "no-token")}


def told(entity):
    return f"{entity['userDisplayName']} {entity['status']}".replace('"', "")


async def main():
    # Without trust_env aiohttp looks at no proxy variable.
    async with aiohttp.ClientSession(trust_env=True, headers=HEADERS, raise_for_status=True) as session:

        async def ask(method, url, entity=None):
            async with session.request(method, url, json=entity) as response:
                return await response.json() if response.status != 204 else None

        created = await ask("POST", STATUSES, STATUS)
        url = f"{STATUSES}/{created['id']}"
        print("POST", created["id"], told(created))
        print("GET", told(await ask("GET", url)))
        print("PATCH", told(await ask("PATCH", url, CHANGE)))
        await ask("DELETE", url)
        print("DELETE")


asyncio.run(main())
