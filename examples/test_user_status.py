"""Tests a program that creates user statuses, without a tenant: `pytest examples`."""

import pytest
import requests

STATUSES = "https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations/{}/userStatuses"
STATUS = {
    "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
    "userDisplayName": "User Display Name value",
    "devicesCount": 12,
    "status": "notApplicable",
    "lastReportedDateTime": "2026-11-25T10:00:00Z",
    "userPrincipalName": "User Principal Name value",
}


@pytest.mark.cassette("user-statuses")
@pytest.mark.parametrize(
    "configuration", ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "11111111-2222-4333-8444-555555555555"]
)
def test_a_status_that_was_created_can_be_removed(graphdeck, configuration):
    statuses = STATUSES.format(configuration)
    created = requests.post(statuses, json=STATUS)
    assert created.status_code == 201
    removed = requests.delete(f"{statuses}/{created.json()['id']}")
    assert removed.status_code == 204
