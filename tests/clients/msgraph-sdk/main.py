"""Creates a user status, reads it, changes it and removes it, with the SDK; then creates two more in one batch."""

import asyncio
import datetime
import os
import sys

from azure.identity import ClientSecretCredential
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.compliance_status import ComplianceStatus
from msgraph.generated.models.device_configuration_user_status import DeviceConfigurationUserStatus
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem


def status(name):
    return DeviceConfigurationUserStatus(
        odata_type="#microsoft.graph.deviceConfigurationUserStatus",
        user_display_name=name,
        devices_count=12,
        status=ComplianceStatus.Compliant,
        last_reported_date_time=datetime.datetime(2026, 11, 24, 10, tzinfo=datetime.timezone.utc),
    )


def told(status):
    return f"{status.user_display_name} {status.status.value}".replace('"', "")


async def batch(graph, statuses, names):
    items = [BatchRequestItem(statuses.to_post_request_information(status(name))) for name in names]
    content = BatchRequestContent()
    for item in items:
        content.add_request(item.id, item)
    answers = await graph.batch.post(batch_request_content=content)
    codes = answers.get_response_status_codes()
    print("BATCH", [codes[item.id] for item in items])


async def main():
    if url := os.environ.get("GRAPH_URL"):
        adapter = GraphRequestAdapter(AnonymousAuthenticationProvider())
        adapter.base_url = f"{url}/v1.0"
        graph = GraphServiceClient(request_adapter=adapter)
    else:
        graph = GraphServiceClient(
            ClientSecretCredential(
                os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
            )
        )
    statuses = graph.device_management.device_configurations.by_device_configuration_id(sys.argv[1]).user_statuses
    created = await statuses.post(status('Måns "42" Ångström'))
    print("POST", created.id, told(created))
    one = statuses.by_device_configuration_user_status_id(created.id)
    print("GET", told(await one.get()))
    change = DeviceConfigurationUserStatus(
        odata_type="#microsoft.graph.deviceConfigurationUserStatus", status=ComplianceStatus.Conflict
    )
    print("PATCH", told(await one.patch(change)))
    await one.delete()
    print("DELETE")
    await batch(graph, statuses, ["Ada", "Grace"])


asyncio.run(main())
