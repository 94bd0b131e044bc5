// A change of one root key: its row held, its etag and its state checked, the change, and the key as it is then.
import type { RootKey } from '../gen/strongroom/keys/v1/key_service.ts';
import type { Queryable } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import type { Call } from '../kernel/table.ts';
import type { Keys } from './keys.ts';
import { toRootKey } from './messages.ts';
import { mutate, revoke } from './mutation.ts';
import { parseRootKey } from './names.ts';
import { addKeyEvents, type KeyChange } from './sql/key-events.ts';
import { lockRootKey, selectRootKey, type RootKeyRow } from './sql/root-keys.ts';
import { checkEtag } from '../kernel/etag.ts';
import { assertAllows, type Operation } from './state.ts';

interface Change {
  name: string;
  etag?: string;
  operation: Operation;
  /** Whether it takes the key away from those who use it. */
  revokes?: boolean;
  /** What services that use the key are told. */
  event?: KeyChange;
  apply: (tx: Queryable, row: RootKeyRow) => Promise<void>;
}

export const changeRootKey = async (
  keys: Keys,
  call: Call,
  { name, etag = '', operation, revokes, event, apply }: Change,
): Promise<RootKey> => {
  const path = parseRootKey(name);
  const change = async (tx: Queryable): Promise<RootKey> => {
    const row = await lockRootKey(tx, path);
    if (!row) throw notFound('root key', name);
    call.annotate({
      ...(row.owner === null ? {} : { instanceUid: row.owner }),
      attributes: { ...call.facts.attributes, key: row.key_uid },
    });
    checkEtag(name, etag, row.key_uid, row.revision);
    assertAllows(name, row.state, operation);
    await apply(tx, row);
    if (event) await addKeyEvents(tx, row.key_uid, event);
    return toRootKey((await selectRootKey(tx, path)) ?? row);
  };
  const changed = await (revokes
    ? revoke(keys, call, async (tx) => ({ reply: await change(tx), revoked: true }))
    : mutate(keys, call, change));
  if (event) keys.events.made();
  return changed;
};
