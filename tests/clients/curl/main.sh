#!/bin/sh
# Creates a user status, reads it, changes it and removes it.
set -eu

configuration="$1"
graph="${GRAPH_URL:-https://graph.microsoft.com}"
statuses="$graph/beta/deviceManagement/deviceConfigurations/$configuration/userStatuses"

ask() {
    curl --silent --show-error --fail-with-body --location \
        --header "Authorization: Bearer ${GRAPH_TOKEN:-no-token}" --header 'Content-Type: application/json' "$@"
}

member() {
    sed "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/"
}

told() {
    echo "$(echo "$1" | member userDisplayName) $(echo "$1" | member status)"
}

created=$(ask --data '{
  "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
  "userDisplayName": "Måns \"42\" Ångström",
  "devicesCount": 12,
  "status": "compliant",
  "lastReportedDateTime": "2026-11-24T10:00:00Z"
}' "$statuses" | sed 's/\\"//g')
id=$(echo "$created" | member id)
echo "POST $id $(told "$created")"
echo "GET $(told "$(ask "$statuses/$id" | sed 's/\\"//g')")"
change='{"@odata.type": "#microsoft.graph.deviceConfigurationUserStatus", "status": "conflict"}'
echo "PATCH $(told "$(ask --request PATCH --data "$change" "$statuses/$id" | sed 's/\\"//g')")"
ask --request DELETE "$statuses/$id"
echo "DELETE"
