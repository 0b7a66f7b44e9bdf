// Creates a user status, reads it, changes it and removes it, with what Node brings along.

const graph = process.env.GRAPH_URL ?? 'https://graph.microsoft.com';
const statuses = `${graph}/beta/deviceManagement/deviceConfigurations/${process.argv[2]}/userStatuses`;
const headers = { authorization: `Bearer ${process.env.GRAPH_TOKEN ?? 'no-token'}`, 'content-type': 'application/json' };
const type = '#microsoft.graph.deviceConfigurationUserStatus';

const told = ({ userDisplayName, status }) => `${userDisplayName} ${status}`.replaceAll('"', '');

async function ask(method, url, entity) {
    const response = await fetch(url, { method, headers, body: entity && JSON.stringify(entity) });
    if (!response.ok) {
        throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
    }
    return response.status === 204 ? null : response.json();
}

const created = await ask('POST', statuses, {
    '@odata.type': type,
    userDisplayName: 'Måns "42" Ångström',
    devicesCount: 12,
    status: 'compliant',
    lastReportedDateTime: new Date('2026-11-24T10:00:00Z'),
});
const url = `${statuses}/${created.id}`;
console.log('POST', created.id, told(created));
console.log('GET', told(await ask('GET', url)));
console.log('PATCH', told(await ask('PATCH', url, { '@odata.type': type, status: 'conflict' })));
await ask('DELETE', url);
console.log('DELETE');
