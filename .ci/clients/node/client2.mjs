// The TypeScript SDK of 2026-07-28 (v2): mode auto discovers, without a handshake or a session; mode
// legacy, its default, shakes hands.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport, getDefaultEnvironment } from '@modelcontextprotocol/client/stdio';

import { Checks, Home, LARGE, MCP, NOBODY, PACED, STATUSES, TEMPLATES, TOOLS, WAITED, checkReports, inOrder, read, start } from './harness.mjs';

const checks = new Checks('TypeScript client 2.4.0');
const home = new Home('t2');

async function connect(mode) {
  const transport = new StdioClientTransport({ command: MCP, env: { ...getDefaultEnvironment(), ...home.env }, stderr: 'inherit' });
  const session = { client: new Client({ name: 'client2', version: '2.4.0' }, { versionNegotiation: { mode } }), mode, sent: [], updates: [], logs: [], faults: [] };
  const send = transport.send.bind(transport);
  transport.send = (message, ...more) => (session.sent.push(message.method), send(message, ...more));
  const { client } = session;
  client.onerror = (e) => session.faults.push(e);
  client.setNotificationHandler('notifications/resources/updated', (n) => void session.updates.push(n.params.uri));
  client.setNotificationHandler('notifications/message', (n) => void session.logs.push([n.params.level, n.params.data]));
  await client.connect(transport);
  inOrder(transport);
  return session;
}

async function lists({ client, sent, mode }) {
  const modern = mode === 'auto';
  checks.equal('protocol version', client.getNegotiatedProtocolVersion(), modern ? '2026-07-28' : '2025-11-25');
  // In mode auto another process, which is gone by now, was asked what the server can.
  checks.equal('the handshake', sent, modern ? [] : ['initialize', 'notifications/initialized']);
  const { name, title } = client.getServerVersion();
  checks.equal('server', { name, title }, { name: 'durable', title: 'MCP Durability Server' });
  checks.match('instructions', /outlive this session/, client.getInstructions());
  checks.equal('tools', (await client.listTools()).tools.map((t) => t.name).sort(), TOOLS);
  checks.equal('resources', (await client.listResources()).resources.map((r) => r.uri), ['task://list']);
  checks.equal('templates', (await client.listResourceTemplates()).resourceTemplates.map((t) => t.uriTemplate).sort(), TEMPLATES);
  if (modern) checks.equal('daemon before the first tool call', home.daemon(), 0);
}

async function migrate({ client, mode, updates, logs }) {
  const out = home.path(`${mode}.db`);
  const [uri, id] = await start(client, checks, { source_path: LARGE, destination_path: out, ...PACED });
  if (mode === 'auto') checks.equal('listen', (await client.listen({ resourceSubscriptions: [uri] })).honoredFilter, { resourceSubscriptions: [uri] });
  else await client.subscribeResource({ uri });
  const reports = [];
  const waited = await client.callTool({ name: 'wait_for_task', arguments: { task_id: id } }, { onprogress: (p) => reports.push(p) });
  checks.equal('what was waited for', waited.structuredContent.task.status, 'completed');
  checkReports(checks, reports, WAITED);
  await checks.until('updates', () => updates.length >= 3);
  checks.equal('what they are about', [...new Set(updates)], [uri]);
  const end = await read(client, uri);
  checks.equal('a completed task', [end.task_id, end.status, end.progress, end.message, end.error, end.result_data.migrated_records, end.result_data.destination_path],
    [id, 'completed', 100, `Migrated ${WAITED}/${WAITED} records`, null, WAITED, out]);
  const want = mode === 'auto' ? [] : [ // 2026-07-28 has log notifications only for requests that ask for them
    `Starting migration of ${WAITED} records from ${LARGE} to ${out}`,
    `Data migration started. Track progress at: ${uri}`,
    `Data migration completed: ${WAITED} records`,
  ];
  await checks.until('log notifications', () => logs.length >= want.length);
  checks.equal('log notifications', logs, want.map((msg) => ['info', { msg, extra: null }]));
  return [uri, id];
}

async function tools({ client, mode }, uri, id) {
  const call = (name, args = {}) => client.callTool({ name, arguments: args });
  const tasks = mode === 'auto' ? 1 : 3;
  const stats = await call('get_server_stats');
  const want = { total_tasks: tasks, running_tasks: 0, completed_tasks: (tasks + 1) / 2, failed_tasks: 0,
    cancelled_tasks: (tasks - 1) / 2, pending_tasks: 0, active_background_tasks: 0 };
  checks.equal('statistics', [JSON.parse(stats.content[0].text), stats.content.length, stats.structuredContent], [want, 1, want]);
  const status = await call('get_task_status', { task_id: uri });
  checks.equal('get_task_status', [status.structuredContent.task.task_id, status.structuredContent.task.status], [id, 'completed']);
  const list = await call('list_tasks');
  checks.equal('list_tasks', [list.structuredContent.total, list.structuredContent.tasks[0].task_id], [tasks, id]);
  const output = await call('get_task_output', { task_id: id });
  checks.true('get_task_output', output.content.some((c) => c.text?.includes('verified 200,000 records')), output);
  const ended = await call('cancel_task', { task_id: id });
  checks.equal('cancel an ended task', [ended.isError, ended.content[0].text], [true, `Task ${id} not found or cannot be cancelled`]);

  const [running, runs] = await start(client, checks, { source_path: LARGE, destination_path: home.path(`${mode}-cancelled.db`), batch_size: 10 });
  await checks.until('progress', async () => (await read(client, running)).done > 0);
  const cancelled = await call('cancel_task', { task_id: runs });
  checks.equal('cancel', [cancelled.isError ?? false, cancelled.content[0].text], [false, `Task ${runs} cancelled. Status available at: ${running}`]);
  checks.equal('a cancelled task', (await read(client, running)).status, 'cancelled');
}

async function refusals({ client }) {
  await checks.refused('an unknown tool', [-32602], client.callTool({ name: 'start_everything', arguments: {} }));
  await checks.refused('an unknown resource', [-32602, -32002], client.readResource({ uri: 'file:///etc/passwd' }));
  checks.equal('an unknown status', await read(client, 'task://list/nonsense'), { error: 'Invalid status: nonsense', valid_statuses: STATUSES });
  checks.equal('an unknown task', await read(client, `task://status/${NOBODY}`), { error: 'Task not found', task_id: NOBODY });
  const result = await client.callTool({ name: 'start_data_migration', arguments: { source_path: '/nowhere/a.csv', destination_path: home.path('b.csv') } });
  checks.equal('a missing source', [result.isError, result.structuredContent.error.code, result.content[0].text.includes('/nowhere/a.csv')],
    [true, 'failed_precondition', true]);
}

for (const mode of ['auto', 'legacy']) {
  const session = await connect(mode);
  await lists(session);
  const [uri, id] = await migrate(session);
  await tools(session, uri, id);
  await refusals(session);
  checks.equal('faults of the session', session.faults, []);
  await session.client.close();
}
home.shutDown(checks);
checks.done('auto negotiates 2026-07-28 without a handshake, legacy 2025-11-25; in both: lists, every plain tool, progress, ' +
  'resources, updates, refusals');
