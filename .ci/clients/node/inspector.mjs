// The MCP Inspector's command line: each call is a session of its own, in either era.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Checks, Home, MCP, NOBODY, SMALL, TOOLS, URI } from './harness.mjs';

const checks = new Checks('MCP Inspector 2.12.0 --cli');
const home = new Home('i2');
const program = fileURLToPath(new URL('node_modules/.bin/mcp-inspector', import.meta.url));

/** Runs the Inspector and returns its exit status, the result and its stderr. */
function inspect(era, ...args) {
  const p = spawnSync(process.execPath, [program, '--cli', MCP, '-e', `DURABLE_HOME=${home.dir}`, '--protocol-era', era,
    '--format', 'json', '--method', ...args], { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout: 60_000, cwd: home.dir });
  checks.true(`${era} ${args[0]}: JSON`, p.stdout.startsWith('{"result":'), [p.status, p.stdout, p.stderr]);
  return [p.status, JSON.parse(p.stdout).result, p.stderr.trim()];
}

const call = (era, name, args = {}) => inspect(era, 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args));
const server = 'io.modelcontextprotocol/serverInfo';

for (const [era, modern] of [['legacy', false], ['auto', true]]) {
  const [listed, { tools }, remarks] = inspect(era, 'tools/list', '--strict');
  checks.equal(`${era}: tools/list --strict`, [listed, remarks, tools.map((t) => t.name).sort()], [0, '', TOOLS]);
  if (!modern) checks.equal('daemon before the first tool call', home.daemon(), 0);

  const out = home.path(`${era}.csv`);
  const [started, start] = call(era, 'start_data_migration', { source_path: SMALL, destination_path: out, record_count: 500 });
  const [, id] = checks.match(`${era}: the first content`, URI, start.content[0].text);
  // Only replies of 2026-07-28 say of themselves who answers.
  checks.equal(`${era}: start`, [started, start._meta?.[server]?.name, start.structuredContent.task.task_id],
    [0, modern ? 'durable' : undefined, id]);
  const [waited, wait] = call(era, 'wait_for_task', { task_id: id });
  checks.equal(`${era}: wait`, [waited, wait.structuredContent.task.status, wait.structuredContent.task.result_data.migrated_records], [0, 'completed', 500]);
  const lines = (path) => readFileSync(path, 'utf8').trimEnd().split('\n');
  checks.equal(`${era}: the destination`, lines(out), lines(SMALL).slice(0, 501));

  const [refused, cancel] = call(era, 'cancel_task', { task_id: NOBODY });
  checks.equal(`${era}: cancel an unknown task`, [refused, cancel.isError, cancel.content[0].text],
    [5, true, `Task ${NOBODY} not found or cannot be cancelled`]);
  const [got, read] = inspect(era, 'resources/read', '--uri', `task://status/${id}`);
  checks.equal(`${era}: resources/read`, [got, JSON.parse(read.contents[0].text).message], [0, 'Migrated 500/500 records']);
}
home.shutDown(checks);
checks.done('era legacy and auto: tools/list --strict finds nothing to say, tools/call, resources/read');
