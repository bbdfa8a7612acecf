// What the TypeScript client of 2026-07-28 (v2) makes of kinds of the user's own, of questions for approval, and of a
// daemon that is killed below a command, in both eras: mode auto has neither handshake nor requests of the server.
import { writeFileSync } from 'node:fs';

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport, getDefaultEnvironment } from '@modelcontextprotocol/client/stdio';

import { Checks, Home, MCP, TOOLS, URI, inOrder, read } from './harness.mjs';

const checks = new Checks('TypeScript client 2.4.0: commands');

const POLICY = '[policy]\ncommands = "allow"\n';
const KIND = `
[kinds.count_lines]
description = "Counts the lines of a file."
command = ["sh", "-c", 'wc -l "$1"; echo "$2"', "-", "{file}", "{unit}"]
[kinds.count_lines.params.file]
type = "path"
description = "The file"
required = true
[kinds.count_lines.params.unit]
type = "enum"
enum = ["lines", "rows"]
default = "lines"
`;

/** A session whose person gives these answers to forms, in turn; none at all: it cannot be asked. */
async function connect(home, mode, answers) {
  const transport = new StdioClientTransport({ command: MCP, env: { ...getDefaultEnvironment(), ...home.env }, cwd: home.dir, stderr: 'inherit' });
  const session = { asked: [], lists: [], faults: [] };
  const client = new Client({ name: 'client2', version: '2.4.0' }, {
    versionNegotiation: { mode },
    capabilities: answers ? { elicitation: { form: {} } } : {},
    listChanged: { tools: { debounceMs: 0, onChanged: (e, tools) => void (e ? session.faults.push(e) : session.lists.push(tools.map((t) => t.name))) } },
  });
  client.onerror = (e) => session.faults.push(e);
  if (answers) {
    client.setRequestHandler('elicitation/create', (request) => {
      session.asked.push(request.params);
      const answer = answers.shift();
      return ['decline', 'cancel'].includes(answer) ? { action: answer } : { action: 'accept', content: { answer } };
    });
  }
  await client.connect(transport);
  inOrder(transport);
  checks.equal('protocol version', client.getNegotiatedProtocolVersion(), mode === 'auto' ? '2026-07-28' : '2025-11-25');
  session.client = client;
  session.call = async (name, args = {}, options) => {
    const result = await client.callTool({ name, arguments: args }, options);
    session.halves = [result.content.map((c) => c.text ?? '').join('\n'), [...leaves(result.structuredContent)].join('\n')];
    return { ...result, task: result.structuredContent.task };
  };
  return session;
}

/** The facts of structured content, a line for each. */
function* leaves(value, name = '') {
  if (value && typeof value === 'object') for (const [k, v] of Object.entries(value)) yield* leaves(v, Array.isArray(value) ? name : k);
  else yield `${name}: ${value}`;
}

/** Looks for facts in both halves of the last result: a host shows its model one. */
function says(session, what, ...facts) {
  for (const half of session.halves) for (const fact of facts) checks.true(`${what}: ${fact} in each half`, half.includes(fact), half);
}

async function begin(session, what, args) {
  const got = await session.call('start_command', args);
  const [uri, id] = checks.match(`${what}: the first content`, URI, got.content[0].text);
  checks.equal(`${what}: the task`, [got.isError ?? false, got.task.task_id, got.structuredContent.uri], [false, id, uri]);
  return got.task;
}

const wait = async (session, id, args = {}) => (await session.call('wait_for_task', { task_id: id, ...args })).task;

/** Kinds of the configuration are tools, come and go with it, and are there while no daemon is. */
async function kinds(mode) {
  const home = new Home(`k${mode}`, POLICY);
  const session = await connect(home, mode);
  const names = async () => (await session.client.listTools()).tools.map((t) => t.name).sort();
  checks.equal('tools', await names(), TOOLS);
  checks.equal('daemon before the first tool call', home.daemon(), 0);
  await session.call('list_tasks');

  home.configure(POLICY + KIND);
  home.reload(checks);
  await checks.until('tools/list_changed', () => session.lists.at(-1)?.includes('start_count_lines'));
  const tool = (await session.client.listTools()).tools.find((t) => t.name === 'start_count_lines');
  checks.equal('its schema', [tool.inputSchema.additionalProperties, tool.inputSchema.required, Object.keys(tool.inputSchema.properties).sort()],
    [false, ['file'], ['file', 'idempotency_key', 'title', 'unit']]);
  checks.match('its description', /^Durable background job: Counts the lines of a file\./, tool.description);

  // A path is taken from the host's folder, what does not fit the schema is refused.
  const got = await session.call('start_count_lines', { file: 'config.toml', title: 'lines' });
  checks.match('the first content', URI, got.content[0].text);
  checks.equal('its end', (await wait(session, got.task.task_id)).status, 'completed');
  const { structuredContent } = await session.call('get_task_output', { task_id: got.task.number });
  checks.match('its output', new RegExp(`^${(POLICY + KIND).split('\n').length - 1} ${home.path('config.toml')}\nlines\n$`), structuredContent.output);
  for (const [args, ...facts] of [[{}, 'file: missing'], [{ file: 'x', units: 'rows' }, 'unknown argument "units"', 'unit'], [{ file: 'x', unit: 'c' }, 'unit']]) {
    const refused = await session.call('start_count_lines', args);
    checks.equal(`${facts[0]}: a tool error`, refused.isError, true);
    says(session, 'a refusal', ...facts);
  }

  // With no daemon up, another host has the tool from the list that the daemon left.
  process.kill(home.daemon(), 'SIGKILL');
  await checks.until('the end of the daemon', () => home.daemon() === 0);
  const other = await connect(home, mode);
  checks.equal('tools while no daemon is there', (await other.client.listTools()).tools.map((t) => t.name).sort(), [...TOOLS, 'start_count_lines'].sort());
  checks.equal('daemon after that', home.daemon(), 0);
  checks.equal('a call that starts one', (await other.call('list_tasks')).isError ?? false, false);
  home.configure(POLICY);
  home.reload(checks);
  await checks.until('tools/list_changed', () => other.lists.at(-1)?.length === TOOLS.length);
  // The first session was idle while the daemon went and came: its next call finds out, and says what is the matter.
  const refused = await session.client.callTool({ name: 'start_count_lines', arguments: { file: 'config.toml' } })
    .then((r) => r.content[0].text, (e) => e.message);
  checks.match('a kind that is gone', /count_lines is not in the daemon's configuration any more/, refused);
  checks.equal('tools at the end', await names(), TOOLS);

  // Changed while the daemon is away: a session that goes on hears of that too.
  home.configure(POLICY + KIND);
  const [status, said] = home.ctl('restart');
  checks.equal(`durablectl restart: ${said}`, status, 0);
  await checks.until('tools/list_changed after a restart', () => other.lists.at(-1)?.includes('start_count_lines'));
  checks.equal('faults', [...session.faults, ...other.faults], []);
  await session.client.close();
  await other.client.close();
  home.shutDown(checks);
}

const ALWAYS = 'always this program in this folder';

/** The default policy asks: by a form where the client has one, else by the sentence to tell the person. */
async function approval(mode) {
  const home = new Home(`q${mode}`);
  const args = { command: ['true'], cwd: home.dir };
  const mute = await connect(home, mode);
  const { number } = await begin(mute, 'without forms', args);
  says(mute, 'without forms', `Waiting for your approval. In a terminal: durablectl approve ${number} (once), durablectl approve ${number} --always, or durablectl policy allow`);
  await mute.client.close();

  const answers = [];
  const session = await connect(home, mode, answers);
  const ask = async (answer, more = {}) => {
    answers.splice(0, 1, answer);
    session.asked.length = 0;
    return begin(session, answer, { ...args, ...more });
  };
  let got = await ask('once', { env: { TOKEN: 's3cret' } });
  says(session, 'once', 'The user allowed it: once.');
  checks.equal('what was asked', session.asked.length, 1);
  const { message, requestedSchema } = session.asked[0];
  checks.true('the question', message.includes('Command: ["true"]') && message.includes(`in ${home.dir}`) && message.includes('It sets: TOKEN') && !message.includes('s3cret'), message);
  checks.equal('the form', requestedSchema.properties.answer.enum, ['once', ALWAYS, 'no']);
  checks.equal('allowed once', (await wait(session, got.task_id)).status, 'completed');
  for (const answer of ['no', 'decline']) {
    got = await ask(answer);
    says(session, answer, 'The user said no');
    checks.equal('a no', got.status, 'cancelled');
  }
  got = await ask('cancel');
  says(session, 'a form that was closed', `durablectl approve ${got.number} (once)`);
  checks.equal('a form that was closed', got.phase, 'awaiting_approval');
  got = await ask(ALWAYS);
  says(session, 'always', `The user allowed it: ${ALWAYS}.`);
  checks.equal('always', (await wait(session, got.task_id)).status, 'completed');
  got = await ask('no'); // which nobody asks for
  checks.equal('nobody is asked any more', [session.asked.length, (await wait(session, got.task_id)).status], [0, 'completed']);
  const { structuredContent } = await session.call('list_tasks', { limit: 50 });
  checks.equal('each call began one task', structuredContent.total, 7);
  checks.equal('faults', session.faults, []);
  await session.client.close();
  home.shutDown(checks);
}

/** The daemon is killed below a command that somebody waits for: the command and the wait go on. */
async function kill(mode) {
  const home = new Home(`x${mode}`, POLICY);
  const session = await connect(home, mode);
  const task = await begin(session, 'a long command', {
    command: ['for i in 1 2 3; do echo "$i/6"; sleep 0.5; done; until test -e gate; do sleep 0.05; done; ' +
      'for i in 4 5 6; do echo "$i/6"; sleep 0.5; done; echo broken >&2; exit 9'], shell: true, cwd: home.dir });
  const reports = [];
  const waiting = session.call('wait_for_task', { task_id: task.task_id }, { onprogress: (p) => reports.push(p.progress) });
  await checks.until('progress', () => reports.some((n) => n > 0));
  const killed = home.daemon();
  process.kill(killed, 'SIGKILL');
  await checks.until('its end', () => home.daemon() !== killed);
  const during = await session.call('get_task_status', { task_id: task.task_id });
  checks.equal('found by the next daemon', [during.task.status, during.task.attempt], ['running', 1]);
  writeFileSync(home.path('gate'), '');
  const end = (await waiting).task;
  says(session, 'its end', 'exit status 9');
  checks.equal('its true end', [end.status, end.exit_code, end.attempt, end.last_line], ['failed', 9, 1, 'broken']);
  const { structuredContent } = await session.call('get_task_output', { task_id: task.number });
  checks.equal('its output, without a gap', structuredContent.output, [1, 2, 3, 4, 5, 6].map((n) => `${n}/6\n`).join('') + 'broken\n');
  checks.equal('the resource', (await read(session.client, `task://status/${task.task_id}`)).error, 'exit status 9');
  checks.equal('faults', session.faults, []);
  await session.client.close();
  home.shutDown(checks);
}

for (const mode of ['auto', 'legacy']) {
  await kinds(mode);
  await approval(mode);
  await kill(mode);
}
checks.done('in both eras: tools of the configuration come and go with tools/list_changed, and are there with no daemon; forms: once, always, no; ' +
  'SIGKILL of the daemon below a command that is waited for');
