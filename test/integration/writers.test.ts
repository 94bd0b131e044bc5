// Many writers at one secret: versions have no gaps, no acknowledged value is lost, and of those who read the same state
// one wins.
import { status, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, decodeRefusal, type Clients } from '../support/clients.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const writers: Clients[] = [];
let tenant: Tenant;
beforeAll(async () => {
  for (let i = 0; i < 4; i++) writers.push(clientsOf(stack, 'app'));
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
});
afterAll(() => [operator, ...writers].forEach((clients) => clients[Symbol.dispose]()));

const newSecret = async () =>
  writers[0]!.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('v'), ...fresh() });
/** On a busy machine a caller may be told to come back; then he does, with the same request. */
const insist = async <T>(call: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as ServiceError).code !== status.UNAVAILABLE) throw error;
    }
  }
};
/** Twenty of them at once, or more: what each has got, or the reason why it was refused. */
const twenty = (call: (as: Clients, i: number, once: { requestId: string }) => Promise<string>, count = 20): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, (_, i) => {
      const once = fresh();
      return insist(() => call(writers[i % writers.length]!, i, once)).catch((error: ServiceError) => decodeRefusal(error).reason);
    }),
  );

describe('twenty writers at once', () => {
  it('get twenty versions without a gap, each with the value of its writer', async () => {
    const { name: parent } = await newSecret();
    let conflicts = 0;
    const values = new Map<string, string>();
    await twenty(async (as, i, once) => {
      // One that is refused because of the others comes again, as the documentation says.
      for (;;) {
        try {
          const { name } = await as.secrets.addSecretVersion({ parent, payload: text(`value of ${i}`), ...once });
          values.set(name, `value of ${i}`);
          return name;
        } catch (error) {
          if (decodeRefusal(error as ServiceError).reason !== 'CONFLICT') throw error;
          conflicts++;
        }
      }
    });
    const numbers = [...values.keys()].map((name) => Number(name.split('/').at(-1))).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
    for (const [name, value] of values)
      expect((await insist(() => writers[0]!.access.accessSecretVersion({ name }))).payload).toEqual(text(value));
    expect((await writers[0]!.secrets.getSecret({ name: parent })).latestVersion).toBe(21);
    expect(conflicts, 'the service settles most of this by itself').toBeLessThan(20);
  });

  it('of one name: one makes it, and its value is what is there', async () => {
    const secretId = newId('s');
    const outcomes = await twenty(async (as, i, once) => {
      await as.secrets.createSecret({ parent: tenant.group, secretId, payload: text(`value of ${i}`), ...once });
      return `value of ${i}`;
    });
    const won = outcomes.filter((outcome) => outcome.startsWith('value'));
    expect(won).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'ALREADY_EXISTS')).toHaveLength(19);
    const { payload } = await writers[0]!.access.accessSecretVersion({ name: `${tenant.group}/secrets/${secretId}/versions/latest` });
    expect(payload).toEqual(text(won[0]!));
  });
});

describe('fifty writers who have all read the same state', () => {
  type Write = (as: Clients, i: number, once: { requestId: string }, read: Secret) => Promise<unknown>;
  const version = ({ name }: Secret) => `${name}/versions/1`;
  const etagOf = async (name: string) => (await writers[0]!.secrets.getSecretVersion({ name })).etag;
  let versionEtag = '';

  it.each<[string, Write]>([
    [
      'add a version',
      (as, i, once, { name: parent, etag }) => as.secrets.addSecretVersion({ parent, payload: text(`${i}`), etag, ...once }),
    ],
    [
      'add the version after the one they know',
      (as, i, once, { name: parent, latestVersion: expectedLatestVersion }) =>
        as.secrets.addSecretVersion({ parent, payload: text(`${i}`), expectedLatestVersion, ...once }),
    ],
    [
      'update',
      (as, i, once, secret) =>
        as.secrets.updateSecret({
          secret: Secret.fromPartial({ ...secret, description: `by ${i}` }),
          updateMask: ['description'],
          ...once,
        }),
    ],
    ['set an alias', (as, i, once, { name, etag }) => as.aliases.setVersionAlias({ name, alias: `by-${i}`, version: 1, etag, ...once })],
    [
      'set an alias that is not there',
      (as, _, once, { name }) => as.aliases.setVersionAlias({ name, alias: 'new', version: 1, expectedVersion: 0, ...once }),
    ],
    ['disable a version', (as, _, once, secret) => as.secrets.disableSecretVersion({ name: version(secret), etag: versionEtag, ...once })],
    ['enable it', (as, _, once, secret) => as.secrets.enableSecretVersion({ name: version(secret), etag: versionEtag, ...once })],
    ['destroy it', (_, __, once, secret) => operator.secrets.destroySecretVersion({ name: version(secret), etag: versionEtag, ...once })],
  ])('and %s: one does, and the others are told to read again', async (what, write) => {
    const { name } = await newSecret();
    if (what === 'enable it') await writers[0]!.secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    versionEtag = await etagOf(`${name}/versions/1`);
    const read = await writers[0]!.secrets.getSecret({ name });
    const outcomes = await twenty(async (as, i, once) => write(as, i, once, read).then(() => 'done'), 50);
    expect(outcomes.toSorted()).toEqual([...Array<string>(49).fill('ETAG_MISMATCH'), 'done']);
  });

  it('who all want to write the first version of a secret: one does', async () => {
    const { name: parent } = await writers[0]!.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), ...fresh() });
    const outcomes = await twenty(
      async (as, i, once) => (await as.secrets.addSecretVersion({ parent, payload: text(`${i}`), expectedLatestVersion: 0, ...once })).name,
      50,
    );
    expect(outcomes.toSorted()).toEqual([...Array<string>(49).fill('ETAG_MISMATCH'), `${parent}/versions/1`]);
  });

  it('and write on, round after round: of each state one new version is made, and every acknowledged value is there', async () => {
    const { name: parent } = await newSecret();
    for (let round = 0; round < 5; round++) {
      const { etag, latestVersion } = await writers[0]!.secrets.getSecret({ name: parent });
      const outcomes = await twenty(
        async (as, i, once) => (await as.secrets.addSecretVersion({ parent, payload: text(`${round} of ${i}`), etag, ...once })).name,
        50,
      );
      const [won, ...others] = outcomes.map((name, i) => ({ name, i })).filter(({ name }) => name !== 'ETAG_MISMATCH');
      expect([won?.name, others]).toEqual([`${parent}/versions/${latestVersion + 1}`, []]);
      const { payload } = await writers[0]!.access.accessSecretVersion({ name: won!.name });
      expect(payload).toEqual(text(`${round} of ${won!.i}`));
    }
  });
});

describe('readers beside writers', () => {
  it('read the latest version or one before it, never half of anything', async () => {
    const { name: parent } = await newSecret();
    let writing = true;
    const write = (async () => {
      for (let i = 0; i < 40; i++) {
        const request = { parent, payload: text(`${i}`.repeat(1_000)), ...fresh() };
        await insist(() => writers[0]!.secrets.addSecretVersion(request));
      }
    })().finally(() => (writing = false));
    let last = 0;
    while (writing) {
      const { name, payload } = await insist(() => writers[1]!.access.accessSecretVersion({ name: `${parent}/versions/latest` }));
      const version = Number(name.split('/').at(-1));
      expect(version).toBeGreaterThanOrEqual(last);
      expect(payload).toEqual(version === 1 ? text('v') : text(`${version - 2}`.repeat(1_000)));
      last = version;
    }
    await write;
    expect(last).toBeGreaterThan(1);
  });
});
