// Creates a user status, reads it, changes it and removes it, with Microsoft's client and a client secret.

import { ClientSecretCredential } from '@azure/identity';
import { Client } from '@microsoft/microsoft-graph-client';
import { TokenCredentialAuthenticationProvider } from '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js';

const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, GRAPH_URL } = process.env;
const type = '#microsoft.graph.deviceConfigurationUserStatus';

function connect() {
    if (GRAPH_URL) {
        const { hostname } = new URL(GRAPH_URL);
        return Client.init({ baseUrl: `${GRAPH_URL}/`, customHosts: new Set([hostname]), authProvider: (done) => done(null, 'no-token') });
    }
    const credential = new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET);
    const scopes = ['https://graph.microsoft.com/.default'];
    return Client.initWithMiddleware({ authProvider: new TokenCredentialAuthenticationProvider(credential, { scopes }) });
}

const told = ({ userDisplayName, status }) => `${userDisplayName} ${status}`.replaceAll('"', '');

const graph = connect();
const statuses = `/deviceManagement/deviceConfigurations/${process.argv[2]}/userStatuses`;
const created = await graph.api(statuses).version('beta').post({
    '@odata.type': type,
    userDisplayName: 'Måns "42" Ångström',
    devicesCount: 12,
    status: 'compliant',
    lastReportedDateTime: new Date('2026-11-24T10:00:00Z'),
});
const one = graph.api(`${statuses}/${created.id}`).version('beta');
console.log('POST', created.id, told(created));
console.log('GET', told(await one.get()));
console.log('PATCH', told(await one.patch({ '@odata.type': type, status: 'conflict' })));
await one.delete();
console.log('DELETE');
