// Many writers at one secret: versions have no gaps, no acknowledged value is lost, and of those who read the same state
// one wins.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, decodeRefusal, type Clients } from '../support/clients.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import type { ServiceError } from '@grpc/grpc-js';

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
const reasonOf = (thrown: unknown): string => decodeRefusal(thrown as ServiceError).reason;

describe('twenty writers at once', () => {
  it('get twenty versions without a gap, each with the value of its writer', async () => {
    const { name: parent } = await newSecret();
    const conflicts: string[] = [];
    const add = async (i: number): Promise<[string, string]> => {
      const value = `value of ${i}`;
      // One that is refused because of the others comes again with its request id, as the documentation says.
      for (const requestId = randomUUID(); ;) {
        try {
          return [(await writers[i % writers.length]!.secrets.addSecretVersion({ parent, payload: text(value), requestId })).name, value];
        } catch (error) {
          expect(reasonOf(error)).toBe('CONFLICT');
          conflicts.push(value);
        }
      }
    };
    const made = await Promise.all(Array.from({ length: 20 }, (_, i) => add(i)));
    const numbers = made.map(([name]) => Number(name.split('/').at(-1))).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 2));
    for (const [name, value] of made) expect((await writers[0]!.access.accessSecretVersion({ name })).payload).toEqual(text(value));
    expect((await writers[0]!.secrets.getSecret({ name: parent })).latestVersion).toBe(21);
    expect(conflicts.length, 'the service settles most of this by itself').toBeLessThan(20);
  });

  it('of whom all have read the same state: one wins, and the others are told to read again', async () => {
    const { name: parent, etag } = await newSecret();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        writers[i % writers.length]!.secrets.addSecretVersion({ parent, payload: text(`value of ${i}`), etag, ...fresh() }).then(
          ({ name }) => name,
          reasonOf,
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === `${parent}/versions/2`)).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'ETAG_MISMATCH')).toHaveLength(19);
    expect((await writers[0]!.secrets.listSecretVersions({ parent })).secretVersions).toHaveLength(2);
  });

  it('of metadata that all have read: one wins, and its change is what is there', async () => {
    const secret = await newSecret();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        writers[i % writers.length]!.secrets.updateSecret({
          secret: Secret.fromPartial({ ...secret, description: `by ${i}` }),
          updateMask: ['description'],
          ...fresh(),
        }).then(({ description }) => description, reasonOf),
      ),
    );
    const won = outcomes.filter((outcome) => outcome.startsWith('by '));
    expect(won).toHaveLength(1);
    expect((await writers[0]!.secrets.getSecret({ name: secret.name })).description).toBe(won[0]);
  });

  it('of one name: one makes it, and its value is what is there', async () => {
    const secretId = newId('s');
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        writers[i % writers.length]!.secrets.createSecret({
          parent: tenant.group,
          secretId,
          payload: text(`value of ${i}`),
          ...fresh(),
        }).then(() => `value of ${i}`, reasonOf),
      ),
    );
    const won = outcomes.filter((outcome) => outcome.startsWith('value'));
    expect(won).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set([won[0], 'ALREADY_EXISTS']));
    const { payload } = await writers[0]!.access.accessSecretVersion({ name: `${tenant.group}/secrets/${secretId}/versions/latest` });
    expect(payload).toEqual(text(won[0]!));
  });
});

describe('readers beside writers', () => {
  it('read the latest version or one before it, never half of anything', async () => {
    const { name: parent } = await newSecret();
    let writing = true;
    const write = (async () => {
      for (let i = 0; i < 40; i++) await writers[0]!.secrets.addSecretVersion({ parent, payload: text(`${i}`.repeat(1_000)), ...fresh() });
      writing = false;
    })();
    let last = 0;
    while (writing) {
      const { name, payload } = await writers[1]!.access.accessSecretVersion({ name: `${parent}/versions/latest` });
      const version = Number(name.split('/').at(-1));
      expect(version).toBeGreaterThanOrEqual(last);
      expect(payload).toEqual(version === 1 ? text('v') : text(`${version - 2}`.repeat(1_000)));
      last = version;
    }
    await write;
  });
});
