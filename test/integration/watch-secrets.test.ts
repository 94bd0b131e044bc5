// Changes as a watcher hears of them: from whichever replica, within a second, over restarts, and what he is told when he is too slow.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { SecretEvent_Type, type WatchSecretsRequest } from '../../src/gen/strongroom/secrets/v1/secret_watch_service.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica } from '../support/replica.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, unbind, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app')];
afterAll(() => [operator, app].forEach((clients) => clients[Symbol.dispose]()));
const { groups, instances, secrets } = operator;
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
});

const nameOf = (type: SecretEvent_Type) => Object.entries(SecretEvent_Type).find(([, value]) => value === type)![0];
const newSecret = async (parent: string, secretId = newId('s')) =>
  (await secrets.createSecret({ parent, secretId, payload: text('v'), ...fresh() })).name;
const rotate = (parent: string) => secrets.addSecretVersion({ parent, payload: text('w'), ...fresh() });

/** Watches until `stop`; the first message has come when this resolves. */
const watch = async (request: Partial<WatchSecretsRequest>, as: Clients = operator) => {
  const told: string[] = [];
  const end = new AbortController();
  const seen = { token: '', resyncs: 0, error: undefined as unknown };
  const begun = Promise.withResolvers<void>();
  const listen = async (): Promise<void> => {
    for await (const { events, resync, resumeToken } of as.watchSecrets(request, { timeoutMs: 60_000, signal: end.signal })) {
      for (const { type, name, version } of events)
        told.push(`${nameOf(type)} ${name.split('/').at(-1)}${version > 0 ? ` ${version}` : ''}`);
      seen.token = resumeToken;
      if (resync) seen.resyncs++;
      begun.resolve();
    }
  };
  const done = listen().catch((error: unknown) => {
    seen.error = error;
    begun.reject(error);
  });
  await begun.promise;
  return {
    told,
    seen,
    /** Waits until this was told; answers how long it took. */
    hears: async (count: number): Promise<number> => {
      const start = performance.now();
      while (told.length < count) {
        if (performance.now() - start > 5_000) throw new Error(`of ${count} events ${told.length} were told: ${told.join(', ')}`);
        await sleep(10);
      }
      return performance.now() - start;
    },
    stop: async () => {
      end.abort();
      await done;
    },
  };
};

describe('who watches a group', () => {
  it('hears of all that becomes of its secrets, in order and each within a second, and of nothing else', async () => {
    const group = (await groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() })).name;
    const watcher = await watch({ parent: group });
    await newSecret(tenant.group);
    const name = await newSecret(group, 'one');
    expect(await watcher.hears(1)).toBeLessThan(1_000);
    await secrets.createSecret({ parent: group, secretId: 'empty', ...fresh() });
    await rotate(name);
    await secrets.updateSecret({ secret: Secret.fromPartial({ name, description: 'new' }), ...fresh() });
    await secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    await secrets.enableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    await secrets.destroySecretVersion({ name: `${name}/versions/1`, ...fresh() });
    await secrets.deleteSecret({ name, ...fresh() });
    await secrets.undeleteSecret({ name, ...fresh() });
    await groups.deleteSecretGroup({ name: group, ...fresh() });
    await groups.undeleteSecretGroup({ name: group, ...fresh() });
    expect(await watcher.hears(11)).toBeLessThan(1_000);
    expect(watcher.told).toEqual([
      'VERSION_ADDED one 1',
      'SECRET_CREATED empty',
      'ROTATED one 2',
      'SECRET_UPDATED one',
      'VERSION_DISABLED one 1',
      'VERSION_ENABLED one 1',
      'VERSION_DESTROYED one 1',
      'SECRET_DELETED one',
      'SECRET_UNDELETED one',
      `GROUP_DELETED ${group.split('/').at(-1)}`,
      `GROUP_UNDELETED ${group.split('/').at(-1)}`,
    ]);
    await watcher.stop();
  });

  it('hears only of some secrets, if he names them, also of one that is yet to come; and of what is above', async () => {
    const own = await newTenant(operator);
    const watcher = await watch({ parent: own.group, secretIds: ['mine', 'later'] });
    for (const id of ['mine', 'other', 'later']) await newSecret(own.group, id);
    await instances.deleteInstance({ name: own.instance, ...fresh() });
    await watcher.hears(3);
    expect(watcher.told).toEqual(['VERSION_ADDED mine 1', 'VERSION_ADDED later 1', `INSTANCE_DELETED ${own.instance.split('/').at(-1)}`]);
    await watcher.stop();
  });

  it('hears what another replica has done, and misses nothing when his own is killed and he goes on at another', async () => {
    const name = await newSecret(tenant.group);
    const replica = await startReplica(stack, 'store');
    const there = clientsOf(replica.stack, 'operator');
    const watcher = await watch({ parent: tenant.group }, there);
    await rotate(name);
    expect(await watcher.hears(1)).toBeLessThan(1_000);
    await replica.kill('SIGKILL');
    there[Symbol.dispose]();
    await watcher.stop();
    await rotate(name);
    await secrets.deleteSecret({ name, ...fresh() });
    const again = await watch({ parent: tenant.group, resumeToken: watcher.seen.token });
    await again.hears(2);
    const id = name.split('/').at(-1)!;
    expect(again.told).toEqual([`ROTATED ${id} 3`, `SECRET_DELETED ${id}`]);
    expect(again.seen.resyncs).toBe(0);
    await again.stop();
    await replica[Symbol.asyncDispose]();
  });

  it('hears of a change that was long under way, also over a reconnect in between', async () => {
    const own = await newTenant(operator);
    const watcher = await watch({ parent: own.group });
    const token = await withDatabase(stack, 'store', async (late) => {
      await late.query('begin');
      const insert = `insert into changes (instance_uid, group_uid, secret_uid, secret_id, kind) values ($1, $2, $1, 'late', 'SECRET_CREATED')`;
      await late.query(insert, [own.instanceUid, own.groupUid]);
      await newSecret(own.group, 'quick');
      expect(await watcher.hears(1)).toBeLessThan(1_000);
      expect(watcher.told).toEqual(['VERSION_ADDED quick 1']);
      const before = watcher.seen.token;
      await late.query('commit');
      return before;
    });
    await watcher.hears(2);
    expect(watcher.told).toEqual(['VERSION_ADDED quick 1', 'SECRET_CREATED late']);
    await watcher.stop();
    const again = await watch({ parent: own.group, resumeToken: token });
    await again.hears(2);
    expect(again.told.toSorted()).toEqual(['SECRET_CREATED late', 'VERSION_ADDED quick 1']);
    await again.stop();
  });
});

describe('who has missed changes is told to read again', () => {
  const insertChanges = ({ instanceUid, groupUid }: Tenant, count: number, hoursAgo = 0) =>
    withDatabase(stack, 'store', (client) =>
      client.query(
        `insert into changes (instance_uid, group_uid, secret_uid, secret_id, kind, create_time)
        select $1, $2, $1, repeat('m', 63), 'SECRET_UPDATED', now() - make_interval(hours => $4) from generate_series(1, $3)`,
        [instanceUid, groupUid, count, hoursAgo],
      ),
    );

  it('when more has come than waits for him, and the stream goes on', async () => {
    const own = await newTenant(operator);
    const watcher = await watch({ parent: own.group });
    await insertChanges(own, 1_500);
    const name = await newSecret(own.group, 'after');
    while (!watcher.told.includes('VERSION_ADDED after 1') && watcher.seen.resyncs === 0) await sleep(20);
    expect(watcher.seen.resyncs).toBeGreaterThan(0);
    await rotate(name);
    while (!watcher.told.includes('ROTATED after 2')) await sleep(20);
    await watcher.stop();
  });

  // Much fits into the buffers of two kernels and two libraries.
  it.runIf(process.env['STRONGROOM_CRASH'] === 'all')('when he does not take what comes', async () => {
    const own = await newTenant(operator);
    const stream = operator.watchSecrets({ parent: own.group }, { timeoutMs: 60_000 });
    await stream.next();
    for (let i = 0; i < 80; i++) {
      await insertChanges(own, 900);
      await sleep(120);
    }
    let count = 0;
    for await (const { events, resync } of stream) {
      count += events.length;
      if (resync || count === 72_000) break;
    }
    expect(count).toBeLessThan(72_000);
  });

  it('when he was away for longer than changes are kept', async () => {
    const own = await newTenant(operator);
    const watcher = await watch({ parent: own.group });
    await watcher.stop();
    await insertChanges(own, 3, 7);
    const left = () =>
      withDatabase(stack, 'store', async (c) => (await c.query('select 1 from changes where group_uid = $1', [own.groupUid])).rowCount);
    // The worker takes the oldest first.
    await withDatabase(stack, 'store', (c) => c.query(`update changes set create_time = now() - interval '7 hours'`));
    for (const end = Date.now() + 10_000; (await left()) !== 0 && Date.now() < end;) await sleep(100);
    expect(await left()).toBe(0);
    const again = await watch({ parent: own.group, resumeToken: watcher.seen.token });
    expect(again.seen.resyncs).toBe(1);
    await again.stop();
  });
});

describe('a watch', () => {
  it('needs the right to read the group, and ends within a second after it is gone', async () => {
    expect(await properRefusalOf(app.watchSecrets({ parent: tenant.group }).next())).toMatchObject({ reason: 'PERMISSION_DENIED' });
    await bind(operator, tenant.group, spiffeIdOf('app'), Role.READER);
    const watcher = await watch({ parent: tenant.group }, app);
    await unbind(operator, tenant.group, spiffeIdOf('app'), Role.READER);
    const start = performance.now();
    while (watcher.seen.error === undefined && performance.now() - start < 3_000) await sleep(10);
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(await properRefusalOf(Promise.reject(watcher.seen.error as Error))).toMatchObject({ reason: 'PERMISSION_DENIED' });
  });

  it.each([
    ['secret_ids', { secretIds: Array.from({ length: 1_001 }, (_, i) => `s-${i}`) }],
    ['secret_ids[1]', { secretIds: ['fine', 'Not Fine'] }],
    ['resume_token', { resumeToken: 'x'.repeat(257) }],
    ['resume_token', { resumeToken: 'made up' }],
  ])('is refused for its %s', async (field, request) => {
    const refused = await properRefusalOf(operator.watchSecrets({ parent: tenant.group, ...request }).next());
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });
});
