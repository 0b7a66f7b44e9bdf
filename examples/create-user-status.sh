#!/bin/sh
# Creates a user status under a device configuration, reads it, changes it and removes it.
# It knows Microsoft Graph and curl, and nothing of Graphdeck.
set -eu

configuration="${1:-6f9619ff-8b86-4d01-b42d-00cf4fc964ff}"
statuses="https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations/$configuration/userStatuses"
token="${GRAPH_TOKEN:-no-token}"

graph() {
    curl --silent --show-error --fail-with-body \
        --header "Authorization: Bearer $token" --header 'Content-Type: application/json' "$@"
}

status() {
    cat <<JSON
{
  "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
  "userDisplayName": "User Display Name value",
  "devicesCount": 12,
  "status": "notApplicable",
  "lastReportedDateTime": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "userPrincipalName": "User Principal Name value"
}
JSON
}

echo "POST $statuses"
created=$(graph --data "$(status)" "$statuses")
echo "$created"
id=$(echo "$created" | sed 's/.*"id":"\([^"]*\)".*/\1/')

echo "GET …/$id"
graph "$statuses/$id"
echo

echo "PATCH …/$id"
graph --request PATCH --data "$(status)" "$statuses/$id"
echo

echo "DELETE …/$id"
graph --request DELETE --write-out 'HTTP %{http_code}\n' "$statuses/$id"
