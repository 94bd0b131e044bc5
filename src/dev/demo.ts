// The main job, done by real clients over mutual TLS and told as it goes: a secret is made, read, rotated, refused to
// whom it is not for, found in the audit log, deleted, purged, and its end proved.
import { crc32c } from '@node-rs/crc32';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuditServiceService, Event_Outcome, ListEntriesRequest } from '../gen/strongroom/audit/v1/audit_service.ts';
import { BindingServiceService, Role } from '../gen/strongroom/secrets/v1/binding_service.ts';
import { InstanceServiceService } from '../gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State, PurgeServiceService, type Purge } from '../gen/strongroom/secrets/v1/purge_service.ts';
import { AccessSecretVersionRequest, SecretAccessServiceService } from '../gen/strongroom/secrets/v1/secret_access_service.ts';
import { SecretGroupServiceService } from '../gen/strongroom/secrets/v1/secret_group_service.ts';
import { SecretServiceService, type SecretPayload } from '../gen/strongroom/secrets/v1/secret_service.ts';
import { AppError } from '../kernel/errors.ts';
import { dialAs } from './clients.ts';
import { verifyReceipt } from './receipt.ts';
import { spiffeIdOf, type Say, type Stack } from './stack.ts';

const PURGE_SECONDS = 60;

const options = () => ({ deadline: Date.now() + 15_000 });
const newRequest = () => ({ requestId: crypto.randomUUID() });
const newValue = (): string => randomBytes(18).toString('base64url');
/** Enough to tell two values apart, too little to use one. */
const shortened = (value: string): string => `${value.slice(0, 3)}…${value.slice(-2)}`;
const who = (principal: string): string => principal.slice(principal.lastIndexOf('/') + 1);

const textOf = (payload: SecretPayload | undefined): string => {
  if (payload?.value?.$case !== 'text') throw new Error('the secret came back without its text');
  if (payload.crc32c !== BigInt(crc32c(payload.value.value) >>> 0)) throw new Error('the secret came back damaged');
  return payload.value.value;
};

const payloadOf = (text: string): SecretPayload => ({ value: { $case: 'text', value: text }, crc32c: BigInt(crc32c(text) >>> 0) });

const refusalOf = async (what: string, call: Promise<unknown>): Promise<string> => {
  const refused = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (refused instanceof AppError && ['PERMISSION_DENIED', 'NOT_FOUND'].includes(refused.code)) return refused.code;
  throw refused ?? new Error(`${what} should have been refused, and was not`);
};

const progressOf = (purge: Purge): string => {
  const state = Object.keys(Purge_State).find((name) => Purge_State[name as keyof typeof Purge_State] === purge.state) ?? 'unknown';
  return (
    `${state.padEnd(15)} scope keys destroyed ${purge.scopeKeysDestroyedCount}, removed: versions ${purge.versionsRemovedCount}, ` +
    `secrets ${purge.secretsRemovedCount}, groups ${purge.groupsRemovedCount}`
  );
};

/** Says each change, until it is done. Looking is itself recorded, so it begins when there is something to see. */
const watchPurge = async (ask: () => Promise<Purge>, say: Say): Promise<Purge> => {
  let last = '';
  for (const end = Date.now() + PURGE_SECONDS * 1_000; ;) {
    const purge = await ask();
    const progress = progressOf(purge);
    if (progress !== last) say(`    ${progress}`);
    last = progress;
    if (purge.state === Purge_State.DONE) return purge;
    await sleep(Math.max(15, (purge.purgeTime?.getTime() ?? 0) - Date.now()));
    if (Date.now() > end) throw new Error(`the purge is not done after ${PURGE_SECONDS} s: ${purge.lastError || progress}`);
  }
};

export const demo = async (stack: Stack, say: Say): Promise<void> => {
  await using callers = new AsyncDisposableStack();
  const [operator, app, app2, auditor] = (['operator', 'app', 'app2', 'auditor'] as const).map((name) => callers.use(dialAs(stack, name)));
  if (!operator || !app || !app2 || !auditor) throw new Error('a caller is missing');
  const groups = operator.dial(SecretGroupServiceService, 'store');
  const purges = operator.dial(PurgeServiceService, 'store');
  const bindings = operator.dial(BindingServiceService, 'store');
  const secrets = app.dial(SecretServiceService, 'store');
  const access = app.dial(SecretAccessServiceService, 'store');
  const log = auditor.dial(AuditServiceService, 'audit');

  const instanceId = `demo-${randomBytes(3).toString('hex')}`;
  const instance = await operator
    .dial(InstanceServiceService, 'store')
    .createInstance({ instanceId, instance: undefined, ...newRequest() }, options());
  say(`✓ operator created ${instance.name}, with the root key ${instance.rootKey}`);
  const group = await groups.createSecretGroup(
    { parent: instance.name, secretGroupId: 'payments', secretGroup: undefined, ...newRequest() },
    options(),
  );
  say(`✓ operator created ${group.name}, with a scope key of its own`);
  for (const role of [Role.WRITER, Role.SECRETS_READER]) {
    const binding = { scope: group.name, principal: spiffeIdOf('app'), role, createTime: undefined };
    await bindings.createBinding({ binding, ...newRequest() }, options());
  }
  say('✓ operator bound app to it as WRITER and SECRETS_READER');

  const [first, second] = [newValue(), newValue()];
  const created = { parent: group.name, secretId: 'db-password', secret: undefined, payload: payloadOf(first), ...newRequest() };
  const secret = await secrets.createSecret(created, options());
  say(`✓ app created ${secret.name} = ${shortened(first)}`);
  const read = async (version: string): Promise<string> =>
    textOf(
      (await access.accessSecretVersion(AccessSecretVersionRequest.fromPartial({ name: `${secret.name}/versions/${version}` }), options()))
        .payload,
    );
  const expect = async (version: string, value: string): Promise<void> => {
    if ((await read(version)) !== value) throw new Error(`version ${version} is not what was written`);
    say(`✓ app read versions/${version} = ${shortened(value)}`);
  };
  await expect('latest', first);
  await secrets.addSecretVersion(
    { parent: secret.name, payload: payloadOf(second), etag: '', onlyIfChanged: false, ...newRequest() },
    options(),
  );
  say(`✓ app rotated it to ${shortened(second)}`);
  await expect('1', first);
  await expect('latest', second);
  const stranger = app2.dial(SecretAccessServiceService, 'store');
  const refusal = await refusalOf(
    'app2',
    stranger.accessSecretVersion(AccessSecretVersionRequest.fromPartial({ name: `${secret.name}/versions/latest` }), options()),
  );
  say(`✓ app2 was refused: ${refusal}`);

  const { entries } = await log.listEntries(ListEntriesRequest.fromPartial({ pageSize: 50, resource: secret.name }), options());
  say('✓ auditor found this secret in the audit log:');
  for (const { index, event } of entries.toReversed()) {
    if (!event) continue;
    const actor = event.onBehalfOf ? `${who(event.principal)} for ${who(event.onBehalfOf)}` : who(event.principal);
    const outcome = Object.keys(Event_Outcome).find((name) => Event_Outcome[name as keyof typeof Event_Outcome] === event.outcome) ?? '';
    say(`    #${String(index).padEnd(5)} ${event.action.padEnd(24)} ${actor.padEnd(14)} ${outcome}`);
  }

  await groups.deleteSecretGroup({ name: group.name, etag: '', ...newRequest() }, options());
  say('✓ operator deleted the group; in 3 s nobody can undelete it any more, and the purge begins:');
  const purge = await watchPurge(() => purges.getPurge({ name: `purges/${group.uid}` }, options()), say);
  say(`✓ app was refused after the purge: ${await refusalOf('app', read('latest'))}`);
  say('✓ receipt of the purge:');
  for (const line of purge.receipt.trimEnd().split('\n')) say(`    ${line}`.trimEnd());
  if (purge.auditIndex === undefined) throw new Error('the purge has no entry in the audit log');
  const { leaf } = await log.getEntry({ index: purge.auditIndex }, options());
  const { verifierKey } = await log.getCheckpoint({ cosigned: false }, options());
  const { index, size } = verifyReceipt(purge.receipt, leaf, verifierKey);
  say(`✓ verified offline: entry ${index} is in the log of ${size} entries that this key signed: ${verifierKey}`);
};
