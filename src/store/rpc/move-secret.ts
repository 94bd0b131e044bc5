import { MoveSecretRequest } from '../../gen/strongroom/secrets/v1/secret_move_service.ts';
import { Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { sqlState } from '../../kernel/db.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Call } from '../../kernel/table.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { assertKeyInUse, keyVersionOf } from '../key-version.ts';
import { assertNew, exists, loadActiveGroup, loadActiveSecret, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { groupName, parseGroup, parseSecret, secretName, versionName, type GroupPath, type SecretPath } from '../names.ts';
import { moveSecret as move, retireName, selectKeptDeks, wantRekey, type KeptDek } from '../sql/moves.ts';
import { holdGroup, type GroupRow } from '../sql/secret-groups.ts';
import { lockSecret, selectSecret, type SecretRow } from '../sql/secrets.ts';
import { replaceWrappedDeks } from '../sql/wrapped-deks.ts';
import { assertReadable } from '../state.ts';
import type { Store } from '../store.ts';

const MOST_VERSIONS = 1_000;
const UNIQUE_VIOLATION = '23505';

/**
 * The key service wraps every DEK for the other group before the transaction. What was added or wrapped again meanwhile, or would be too
 * old there, is wrapped with the secret locked: only its own writers wait for that.
 */
export const moveSecret = async (store: Store, request: MoveSecretRequest, call: Call): Promise<Secret> => {
  const path = parseSecret(request.name);
  const group = parseGroup(request.destinationParent, 'destination_parent');
  const { refuse } = await store.decide(call, { scope: group, permission: 'write' });
  if (refuse) throw refuse(call.action, request.destinationParent);
  assertElsewhere(path, group);
  const destination = { ...group, secret: path.secret };
  const name = secretName(destination);
  call.annotate({ attributes: { destination: name } });
  const wraps = new Map<number, { from: Buffer; to: Buffer }>();
  /** Those that are not wrapped for it yet, or by a key that it does not take any more. */
  const wrap = async (row: SecretRow, to: GroupRow, deks: readonly KeptDek[]): Promise<void> => {
    const unknown = deks.filter(({ version, wrapped_dek: from }) => {
      const known = wraps.get(version);
      return !known?.from.equals(from) || keyVersionOf(known.to) < to.key_version;
    });
    const wrapped = unknown.map(({ version, wrapped_dek: wrappedDek }) => ({
      name: versionName(destination, version),
      place: { instanceUid: row.instance_uid, groupUid: row.group_uid, secretUid: row.secret_uid, version },
      wrappedDek,
    }));
    const fresh = await store.envelope.rewrapAll(wrapped, to.group_uid, call);
    unknown.forEach(({ version, wrapped_dek: from }, i) => wraps.set(version, { from, to: fresh[i]! }));
  };

  return mutate(store, call, {
    request,
    codec: { request: MoveSecretRequest, reply: Secret },
    prepare: async () => {
      const [row, to] = await Promise.all([loadActiveSecret(store.db.read, path), loadActiveGroup(store.db.read, group)]);
      checkEtag(request.name, request.etag, row.secret_uid, row.revision);
      await assertNew(store.db.read, name, row.secret_uid);
      if (await selectSecret(store.db.read, destination)) throw exists(name);
      const deks = await selectKeptDeks(store.db.read, row, MOST_VERSIONS + 1);
      assertMovable(path, deks);
      await wrap(row, to, deks);
    },
    change: async (tx) => {
      const row = await loadActiveSecret(tx, path, lockSecret);
      checkEtag(request.name, request.etag, row.secret_uid, row.revision);
      await assertNotHeld(tx, placeOf(row), request.name, 'purge');
      const to = await loadActiveGroup(tx, group, holdGroup);
      const deks = await selectKeptDeks(tx, row, MOST_VERSIONS + 1);
      assertMovable(path, deks);
      await wrap(row, to, deks);
      const replacements = deks.map(({ version }) => ({ secretUid: row.secret_uid, version, ...wraps.get(version)! }));
      for (const { to: wrapped } of replacements) assertKeyInUse(to, wrapped);
      await move(tx, row, to.group_uid).catch((error: unknown) => {
        throw sqlState(error) === UNIQUE_VIOLATION ? exists(name) : error;
      });
      retireName(tx, request.name, row.secret_uid);
      wantRekey(tx, row);
      await replaceWrappedDeks(tx, row.instance_uid, replacements);
      call.annotate({ instanceUid: row.instance_uid });
      return toSecret(await loadSecret(tx, destination));
    },
  });
};

/** Payloads are bound to their instance. */
const assertElsewhere = (path: SecretPath, group: GroupPath): void => {
  if (group.instance !== path.instance)
    throw invalid('destination_parent', 'must be a group of the same instance; read and write it again');
  if (group.group === path.group) throw invalid('destination_parent', `is ${groupName(group)}, where the secret is`);
};

const assertMovable = (path: SecretPath, deks: readonly KeptDek[]): void => {
  if (deks.length > MOST_VERSIONS) {
    throw new AppError(
      'TOO_MANY_VERSIONS',
      `${secretName(path)} has more than ${MOST_VERSIONS} versions that are not destroyed; destroy some first`,
      { metadata: { resource: secretName(path), limit: String(MOST_VERSIONS) } },
    );
  }
  // What is scheduled is looked for where it was.
  const scheduled = deks.find(({ state }) => state === 'DESTROY_SCHEDULED');
  if (scheduled) assertReadable(versionName(path, scheduled.version), scheduled.state);
};
