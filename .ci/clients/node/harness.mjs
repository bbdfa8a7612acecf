// What the Node clients share: a state folder, data, and checks that end the run when one fails.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, isDeepStrictEqual } from 'node:util';

const { DURABLE_BIN, DURABLE_DATA, DURABLE_HOMES } = process.env;
export const MCP = join(DURABLE_BIN, 'durable-mcp');

// The files that run makes.
export const SMALL = join(DURABLE_DATA, 'small.csv');
export const LARGE = join(DURABLE_DATA, 'large.csv');
export const LARGE_ROWS = 2_000_000;
// What is waited for takes two seconds, on any machine: a few reports come on the way, and one call, which lasts 25 s at most,
// sees the end of it even where everything else takes ten times as long.
export const WAITED = 200_000;
export const PACED = { record_count: WAITED, batch_size: 10_000, rate_limit: 100_000 };

export const TOOLS = [
  'cancel_task', 'get_server_stats', 'get_task_output', 'get_task_status', 'list_tasks', 'pause_task', 'resume_task',
  'retry_task', 'send_task_input', 'start_batch_processing', 'start_command', 'start_data_migration', 'start_ml_training', 'wait_for_task',
];
export const TEMPLATES = ['task://list/{status}', 'task://log/{task_id}', 'task://status/{task_id}'];
export const STATUSES = ['pending', 'running', 'completed', 'failed', 'cancelled'];
export const URI = /^task:\/\/status\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
export const NOBODY = '019a0000-0000-7000-8000-00000000dead';

/** Has the transport of a connected client deliver one message after the other. These clients handle a notification later than a reply that comes
 * with it, and have forgotten by then who wanted the progress: the last report would be lost, and a fault, whenever one read has both. */
export function inOrder(transport) {
  const deliver = transport.onmessage;
  let turn = Promise.resolve();
  transport.onmessage = (...message) => void (turn = turn.then(() => deliver(...message)));
}

/** Counts what was checked. The first thing that is not as it should be ends the program. */
export class Checks {
  count = 0;

  constructor(client) {
    this.client = client;
  }

  expect(ok, text) {
    if (!ok) {
      console.log(`FAIL ${this.client}: ${text}`);
      throw new Error(text);
    }
    this.count++;
  }

  equal(what, got, want) {
    const show = (v) => inspect(v, { depth: 9, breakLength: 200 });
    this.expect(isDeepStrictEqual(got, want), `${what}:\n got ${show(got)}\nwant ${show(want)}`);
  }

  true(what, ok, detail = '') {
    this.expect(ok, `${what}: ${inspect(detail, { depth: 9 })}`);
  }

  match(what, pattern, text) {
    const found = pattern.exec(text);
    this.expect(found, `${what}: ${inspect(text)} does not match ${pattern}`);
    return found;
  }

  /** Waits for what arrives by itself: a notification, the state of a foreign process. */
  async until(what, ready, seconds = 60) {
    const deadline = Date.now() + seconds * 1000;
    let got;
    while (!(got = await ready()) && Date.now() < deadline) await sleep(10);
    this.expect(got, `${what}: not after ${seconds} s`);
    return got;
  }

  /** Expects call to be refused with a protocol error of one of these codes. */
  async refused(what, codes, call) {
    const e = await call.then((got) => this.true(`${what}: no error`, false, got), (e) => e);
    this.true(`${what}: code ${e.code}, want ${codes}`, codes.includes(e.code), e);
  }

  done(story) {
    console.log(`ok   ${this.client}: ${this.count} checks: ${story}`);
  }
}

/** A state folder of its own, in which no daemon runs yet, with a configuration if it is to have one. */
export class Home {
  constructor(name, config) {
    this.dir = join(DURABLE_HOMES, name);
    mkdirSync(this.dir, { mode: 0o700 });
    this.env = { DURABLE_HOME: this.dir };
    if (config !== undefined) this.configure(config);
  }

  configure(text) {
    writeFileSync(this.path('config.toml'), text);
  }

  path(name) {
    return join(this.dir, name);
  }

  /** Runs durablectl and returns its exit status and output. */
  ctl(...args) {
    const p = spawnSync(join(DURABLE_BIN, 'durablectl'), args, {
      env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', timeout: 60_000,
    });
    return [p.status, p.stdout + p.stderr];
  }

  /** Has the daemon read its configuration again. */
  reload(checks) {
    const [status, out] = this.ctl('reload');
    checks.equal(`durablectl reload: ${out}`, status, 0);
  }

  /** Returns the daemon's process ID, or 0 if none runs. */
  daemon() {
    const [status, out] = this.ctl('status', '--json');
    return status === 0 ? JSON.parse(out).pid : 0;
  }

  shutDown(checks) {
    const [status, out] = this.ctl('shutdown');
    checks.equal(`durablectl shutdown: ${out}`, status, 0);
    checks.equal('daemon after shutdown', this.daemon(), 0);
  }
}

/** Checks progress as wait_for_task reports it: it counts records, and only ever grows. */
export function checkReports(checks, reports, total) {
  const numbers = reports.map((r) => r.progress);
  checks.true('reports', reports.length >= 3, reports);
  checks.true('reports grow', numbers.every((n, i) => i === 0 || n > numbers[i - 1]), numbers);
  checks.equal('the last report', numbers.at(-1), total);
  for (const { progress, total: of, message } of reports) {
    if (of === undefined) {
      // The job has said nothing yet, or it counts the records.
      checks.match('text before there is a total', /^(running|waits for a free slot|Counted [0-9]+ records in large\.csv)$/, message);
      continue;
    }
    checks.equal('total of a report', of, total);
    const verified = progress === total ? `(, [0-9]+ verified)?` : ''; // copied, and being read back
    checks.match('text of a report', new RegExp(`^Migrated ${progress}/${total} records${verified}$`), message);
  }
}

/** Reads a resource and returns its JSON. */
export async function read(client, uri) {
  const { contents } = await client.readResource({ uri });
  if (contents.length !== 1 || contents[0].uri !== uri) throw new Error(`contents of ${uri}: ${inspect(contents)}`);
  return JSON.parse(contents[0].text);
}

/** Starts a migration and returns its URI and ID. */
export async function start(client, checks, args) {
  const result = await client.callTool({ name: 'start_data_migration', arguments: args });
  const [, id] = checks.match('the first content', URI, result.content[0].text);
  checks.equal('the second content', [result.content[1].type, result.content[1].uri], ['resource_link', result.content[0].text]);
  checks.equal('structured content', [result.structuredContent.task.task_id, result.structuredContent.uri], [id, result.content[0].text]);
  return [result.content[0].text, id];
}
