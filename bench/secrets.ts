// `make bench BENCH=secrets`: pages of a list of a million secrets, from the first to the last; and watchers by the thousand: what they
// cost the store while nothing happens, and how soon all of them know of a rotation.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { dialAs } from '../src/dev/clients.ts';
import { configFileOf } from '../src/dev/configs.ts';
import { startService } from '../src/dev/parts.ts';
import { ListSecretsRequest, SecretServiceService } from '../src/gen/strongroom/secrets/v1/secret_service.ts';
import { SecretWatchServiceService } from '../src/gen/strongroom/secrets/v1/secret_watch_service.ts';
import { clientsOf } from '../test/support/clients.ts';
import { end, pidOf, startStack } from '../test/support/stack.ts';
import { fresh, text } from '../test/support/tenants.ts';
import { median, saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';
import { makeLargeGroup } from './purge-tenant.ts';
import { analyze, buildWorld } from './world.ts';

const PAGE = 1_000;
/** A connection takes 256 streams. */
const STREAMS = 250;

const { values } = parseArgs({
  options: { secrets: { type: 'string', default: '1000000' }, watchers: { type: 'string', default: '10000' } },
});
const [SECRETS, WATCHERS] = [Number(values.secrets), Number(values.watchers)];

say('starting a stack of its own ...');
await using running = await startStack();
const { stack } = running;
const machine = await describeMachine(stack);
say(sayMachine(machine));
// One identity has all the watchers here.
const file = configFileOf(stack, 'store');
const config = JSON.parse(readFileSync(file, 'utf8')) as object;
writeFileSync(file, JSON.stringify({ ...config, limits: { identity: { streams: 2 * WATCHERS, readsPerSecond: 100_000 } } }));
await end(stack, 'store', 'SIGTERM');
const refusal = await startService(stack, 'store');
if (refusal !== undefined) throw new Error(refusal);

const world = await buildWorld(stack, 0);
await makeLargeGroup(world, 'large', SECRETS);
await analyze(stack);
const group = 'instances/large/groups/doomed';

await using app = dialAs(stack, 'app');
const secrets = app.dial(SecretServiceService, 'store');
const pages: number[] = [];
for (let pageToken = '', more = true; more;) {
  const begun = performance.now();
  const page = await secrets.listSecrets(ListSecretsRequest.fromPartial({ parent: group, pageSize: PAGE, pageToken }), {
    deadline: Date.now() + 10_000,
  });
  pages.push(performance.now() - begun);
  pageToken = page.nextPageToken;
  more = pageToken !== '';
}
const fifth = Math.ceil(pages.length / 5);
const [first, last] = [median(pages.slice(0, fifth)), median(pages.slice(-fifth))];
say(`pages of ${PAGE} from ${SECRETS} secrets: p50 ${first.toFixed(1)} ms in the first fifth, ${last.toFixed(1)} ms in the last`);

const rssOf = async (): Promise<number> => {
  const status = readFileSync(`/proc/${await pidOf(stack, 'store')}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
};
const before = await rssOf();
const stop = new AbortController();
await using dialers = new AsyncDisposableStack();
let [ready, told, lastTold] = [0, 0, 0];
const allReady = Promise.withResolvers<void>();
const allTold = Promise.withResolvers<void>();
const watch = async (messages: AsyncIterable<{ events: readonly unknown[] }>): Promise<void> => {
  for await (const { events } of messages) {
    if (events.length === 0) {
      if (++ready === WATCHERS) allReady.resolve();
    } else if (++told === WATCHERS) {
      lastTold = performance.now();
      allTold.resolve();
      return;
    }
  }
};
for (let open = 0; open < WATCHERS; open += STREAMS) {
  const client = dialers.use(dialAs(stack, 'app')).dial(SecretWatchServiceService, 'store');
  for (let i = open; i < Math.min(WATCHERS, open + STREAMS); i++) {
    const messages = client.watchSecrets({ parent: group, secretIds: ['real-0'], resumeToken: '' }, stop);
    watch(messages).catch((error: unknown) => {
      if (!stop.signal.aborted) allReady.reject(error);
    });
  }
}
await allReady.promise;
await new Promise((resolve) => setTimeout(resolve, 20_000));
const idle = await rssOf();
using operator = clientsOf(stack, 'operator');
const begun = performance.now();
await operator.secrets.addSecretVersion({ parent: `${group}/secrets/real-0`, payload: text('rotated'), ...fresh() });
await Promise.race([allTold.promise, new Promise((resolve) => setTimeout(resolve, 20_000))]);
const seconds = (lastTold - begun) / 1_000;
say(
  `${WATCHERS} watchers: the store has ${idle.toFixed(0)} MiB, ${before.toFixed(0)} before them; ${told} of them knew of a rotation after ${seconds.toFixed(2)} s`,
);
stop.abort();

say(saveResult('secrets', { machine, secrets: SECRETS, first, last, watchers: WATCHERS, before, idle, told, seconds }));
