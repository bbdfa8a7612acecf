// The TypeScript SDK of the era with a handshake (v1), as most desktop hosts have it, and what such a
// host sees when the daemon dies and is restarted below a live session: nothing.
import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport, getDefaultEnvironment } from '@modelcontextprotocol/sdk/client/stdio.js';
import { LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema, ResultSchema } from '@modelcontextprotocol/sdk/types.js';

import { Checks, Home, LARGE, LARGE_ROWS, MCP, NOBODY, PACED, SMALL, STATUSES, TEMPLATES, TOOLS, WAITED, checkReports, inOrder, read, start } from './harness.mjs';

const checks = new Checks('TypeScript SDK 1.32.2');
const home = new Home('t1');

/** A session, and all that was sent, received and lost in it. */
async function connect() {
  const transport = new StdioClientTransport({ command: MCP, env: { ...getDefaultEnvironment(), ...home.env }, stderr: 'inherit' });
  const session = { client: new Client({ name: 'sdk1', version: '1.32.2' }), transport, sent: [], updates: [], logs: [], faults: [] };
  const send = transport.send.bind(transport);
  transport.setProtocolVersion = (v) => (session.version = v);
  transport.send = (message) => (session.sent.push(message.method), send(message));
  const { client } = session;
  client.onclose = () => session.faults.push('closed');
  client.onerror = (e) => session.faults.push(e);
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => void session.updates.push(n.params.uri));
  client.setNotificationHandler(LoggingMessageNotificationSchema, (n) => void session.logs.push([n.params.level, n.params.data]));
  await client.connect(transport);
  inOrder(transport);
  return session;
}

async function handshake({ client, version }) {
  const { name, title } = client.getServerVersion();
  checks.equal('server', { name, title }, { name: 'durable', title: 'MCP Durability Server' });
  checks.equal('capabilities', client.getServerCapabilities(), {
    logging: {}, completions: {}, resources: { subscribe: true }, tools: { listChanged: true } });
  checks.equal('protocol version', version, '2025-11-25');
  const { tools } = await client.listTools();
  checks.equal('tools', tools.map((t) => t.name).sort(), TOOLS);
  checks.true('each tool has a title, closed arguments and annotations',
    tools.every((t) => t.title && t.inputSchema.additionalProperties === false && t.outputSchema && t.annotations), tools);
  checks.equal('resources', (await client.listResources()).resources.map((r) => r.uri), ['task://list']);
  checks.equal('templates', (await client.listResourceTemplates()).resourceTemplates.map((t) => t.uriTemplate).sort(), TEMPLATES);
  checks.equal('daemon before the first tool call', home.daemon(), 0);
}

/** Starts a migration, waits for it with progress, and reads it every way there is. */
async function migrate({ client, updates, logs }) {
  const [uri, id] = await start(client, checks, { source_path: LARGE, destination_path: home.path('a.db'), ...PACED });
  for (const u of [uri, 'task://list', 'task://list/completed']) await client.subscribeResource({ uri: u });
  const reports = [];
  const waited = await client.callTool({ name: 'wait_for_task', arguments: { task_id: id } }, undefined, { onprogress: (p) => reports.push(p) });
  checks.equal('what was waited for', [waited.structuredContent.task.status, waited.structuredContent.next],
    ['completed', 'Completed. Tell the user; there is nothing left to wait for.']);
  checkReports(checks, reports, WAITED);
  await checks.until('updates of task://list/completed', () => updates.includes('task://list/completed'));
  checks.true('updates of the task', updates.filter((u) => u === uri).length >= 3, updates);
  checks.true('updates of task://list', updates.filter((u) => u === 'task://list').length >= 3, updates);
  await checks.until('log line at the end', () => logs.some(([level, data]) => level === 'info' && data.msg === `Data migration completed: ${WAITED} records`));
  for (const u of [uri, 'task://list', 'task://list/completed']) await client.unsubscribeResource({ uri: u });

  const end = await read(client, uri);
  checks.equal('a completed task', [end.task_id, end.status, end.progress, end.message, end.error, end.result_data.migrated_records],
    [id, 'completed', 100, `Migrated ${WAITED}/${WAITED} records`, null, WAITED]);
  const { contents } = await client.readResource({ uri: `task://log/${id}` });
  checks.equal('type of a log', contents[0].mimeType, 'text/plain');
  checks.true('log', contents[0].text.includes('copied 200,000 records') && contents[0].text.includes('verified 200,000 records'), contents);
  return id;
}

async function complete({ client }, id) {
  const values = async (uri, name, value) =>
    (await client.complete({ ref: { type: 'ref/resource', uri }, argument: { name, value } })).completion.values;
  checks.equal('completion of a status', await values('task://list/{status}', 'status', 'c'), ['completed', 'cancelled']);
  checks.equal('completion of every status', await values('task://list/{status}', 'status', ''), STATUSES);
  checks.equal('completion of an ID', await values('task://status/{task_id}', 'task_id', id.slice(0, 4)), [id]);
  checks.equal('completion of no ID', await values('task://status/{task_id}', 'task_id', 'ffff'), []);
}

async function errors({ client }) {
  const call = (name, args) => client.callTool({ name, arguments: args });
  await checks.refused('an unknown tool', [-32602], call('start_everything', {}));
  // Up to this era the specification says -32002, after it -32602, and so do most SDKs in every era.
  await checks.refused('an unknown resource', [-32602, -32002], client.readResource({ uri: 'file:///etc/passwd' }));
  await checks.refused('an unknown method', [-32601], client.request({ method: 'tasks/list' }, ResultSchema));
  for (const [args, code, text] of [
    [{ source_path: SMALL }, 'invalid_argument', 'destination_path: missing'],
    [{ source_path: SMALL, destination_path: home.path('a.csv'), speed: 1 }, 'invalid_argument', 'unknown argument "speed"'],
    [{ source_path: SMALL, destination_path: home.path('a.csv'), record_count: -1 }, 'invalid_argument', 'record_count: -1, want 1 or more'],
    [{ source_path: SMALL, destination_path: SMALL }, 'invalid_argument', `destination ${SMALL}: the same file as the source`],
  ]) {
    const { isError, content, structuredContent: { error } } = await call('start_data_migration', args);
    checks.equal(`${text}: a tool error with a code`, [isError, error.code], [true, code]);
    checks.true(`${text}: the message`, error.message.startsWith(text), error);
    const lines = [`error: ${error.message}`, ...(error.hint ? [`hint: ${error.hint}`] : []), `code: ${code}`];
    checks.equal(`${text}: the same as text`, content[0].text.split('\n').slice(0, lines.length), lines);
  }
  const unknown = await call('cancel_task', { task_id: NOBODY });
  checks.equal('cancel an unknown task', [unknown.isError, unknown.content[0].text], [true, `Task ${NOBODY} not found or cannot be cancelled`]);
  checks.equal('an unknown task', await read(client, `task://status/${NOBODY}`), { error: 'Task not found', task_id: NOBODY });
}

/** Does what a host does that trusts its subscription: it reads when it is told to, and never otherwise. */
async function endAsTold({ client, updates }, uri) {
  let told = 0;
  return checks.until('an update that leads to the end', async () => {
    if (updates.length === told) return undefined;
    told = updates.length;
    const now = await read(client, uri);
    return ['completed', 'failed', 'cancelled'].includes(now.status) && now;
  }, 90);
}

/** The daemon is killed and later restarted while a task runs and the host listens: ten seconds of it, on any machine. */
async function survive({ client, transport, sent, updates, logs, faults }) {
  const proxy = transport.pid;
  const [uri, id] = await start(client, checks, { source_path: LARGE, destination_path: home.path('b.db'), batch_size: 20_000, rate_limit: 200_000 });
  await client.subscribeResource({ uri });
  const call = (name, args) => client.callTool({ name, arguments: { task_id: id, ...args } });
  await checks.until('progress', async () => (await read(client, uri)).done > 0);

  const first = home.daemon();
  checks.true('a daemon', first > 0, first);
  process.kill(first, 'SIGKILL');
  await checks.until('the end of the daemon', () => home.daemon() === 0);
  updates.length = 0;
  const after = await call('get_task_status');
  checks.equal('the next tool call', [after.isError ?? false, after.structuredContent.task.task_id], [false, id]);
  const second = home.daemon();
  checks.true('another daemon, started by that call', second > 0 && second !== first, [first, second]);
  await checks.until('updates after SIGKILL', () => updates.length >= 3);
  const resumed = await checks.until('progress after SIGKILL', async () => {
    const now = await read(client, uri);
    return now.status === 'running' && now.attempt === 2 && now.done > 0 && now;
  });
  checks.true('the task goes on', resumed.of === LARGE_ROWS && resumed.done < LARGE_ROWS, resumed);

  const waiting = call('wait_for_task', { timeout_seconds: 5 });
  const [status, said] = home.ctl('restart');
  checks.equal(`durablectl restart: ${said}`, status, 0);
  const third = home.daemon();
  checks.true('a third daemon', third > 0 && third !== second, [second, third]);
  updates.length = 0; // no tool call from here on but the one under way
  await checks.until('updates after the restart', () => updates.length >= 2);
  const waited = await waiting;
  checks.equal('a call that was under way', [waited.isError ?? false, waited.structuredContent.task.task_id], [false, id]);

  const end = await endAsTold({ client, updates }, uri);
  checks.equal('the end', [end.status, end.error, end.attempt, end.result_data.migrated_records, end.result_data.verified],
    ['completed', null, 3, LARGE_ROWS, true]);
  checks.true('it was resumed', end.result_data.resumed_from >= resumed.done, [resumed.done, end.result_data]);
  await checks.until('log line at the end', () => logs.some(([, data]) => data.msg === `Data migration completed: ${LARGE_ROWS} records`));

  const times = (method) => sent.filter((m) => m === method).length;
  checks.equal('what the host initialised', [times('initialize'), times('notifications/initialized')], [1, 1]);
  checks.equal('subscriptions of this task', times('resources/subscribe'), 4);
  checks.equal('faults of the session', faults, []);
  checks.equal('the proxy', [transport.pid, process.kill(proxy, 0)], [proxy, true]);
}

/** The daemon is away for longer than a stream of events tries to come back by itself. */
async function sleepLong({ client, updates, faults }) {
  await client.subscribeResource({ uri: 'task://list/completed' });
  process.kill(home.daemon(), 'SIGKILL');
  await checks.until('the end of the daemon', () => home.daemon() === 0);
  await sleep(12_000);
  checks.equal('daemon while nobody calls', home.daemon(), 0);
  updates.length = 0;
  const [uri] = await start(client, checks, { source_path: SMALL, destination_path: home.path('c.csv') });
  checks.equal('the task', (await endAsTold({ client, updates }, uri)).message, 'Migrated 1000/1000 records');
  checks.equal('faults of the session', faults, []);
}

const session = await connect();
await handshake(session);
const id = await migrate(session);
await complete(session, id);
await errors(session);
await survive(session);
await sleepLong(session);
await session.client.close();
home.shutDown(checks);
checks.done('lists, start, progress, subscriptions, resources, completion, errors; one session over SIGKILL, restart and a long absence of the daemon: ' +
  'calls work, updates and log lines go on, nothing is initialised again');
