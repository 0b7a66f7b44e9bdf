"""Creates a user status, reads it, changes it and removes it, with the beta SDK and an asynchronous credential."""

import asyncio
import datetime
import os
import sys

from azure.identity.aio import ClientSecretCredential
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from msgraph_beta import GraphRequestAdapter, GraphServiceClient
from msgraph_beta.generated.models.compliance_status import ComplianceStatus
from msgraph_beta.generated.models.device_configuration_user_status import DeviceConfigurationUserStatus


def told(status):
    return f"{status.user_display_name} {status.status.value}".replace('"', "")


async def work(graph):
    statuses = graph.device_management.device_configurations.by_device_configuration_id(sys.argv[1]).user_statuses
    created = await statuses.post(
        DeviceConfigurationUserStatus(
            odata_type="#microsoft.graph.deviceConfigurationUserStatus",
            user_display_name='Måns "42" Ångström',
            devices_count=12,
            status=ComplianceStatus.Compliant,
            last_reported_date_time=datetime.datetime(2026, 11, 24, 10, tzinfo=datetime.timezone.utc),
        )
    )
    print("POST", created.id, told(created))
    status = statuses.by_device_configuration_user_status_id(created.id)
    print("GET", told(await status.get()))
    change = DeviceConfigurationUserStatus(
        odata_type="#microsoft.graph.deviceConfigurationUserStatus", status=ComplianceStatus.Conflict
    )
    print("PATCH", told(await status.patch(change)))
    await status.delete()
    print("DELETE")


async def main():
    if url := os.environ.get("GRAPH_URL"):
        adapter = GraphRequestAdapter(AnonymousAuthenticationProvider())
        adapter.base_url = f"{url}/beta"
        await work(GraphServiceClient(request_adapter=adapter))
        return
    credential = ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
    )
    async with credential:
        await work(GraphServiceClient(credential))


asyncio.run(main())
