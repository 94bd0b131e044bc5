// Makes values that nobody has seen: nothing of them leaves this process but sealed, until somebody who may reads them.
import { AppError, notFound } from '../kernel/errors.ts';
import type { Caller } from './envelope.ts';
import { assertUnexpired } from './expiration.ts';
import { Overtaken } from './key-version.ts';
import { pathOf } from './messages.ts';
import { versionName } from './names.ts';
import { corrupted, valueOf, type Value } from './payload.ts';
import { selectStored } from './sql/secret-versions.ts';
import type { SecretRow } from './sql/secrets.ts';
import { assertReadable } from './state.ts';
import type { Store } from './store.ts';
import type { Recipe } from './types/type.ts';

type Opener = Pick<Store, 'db' | 'envelope'>;

const openNewest = async ({ db, envelope }: Opener, secret: SecretRow, caller: Caller): Promise<Buffer> => {
  const { latest_version: version } = secret;
  const path = { ...pathOf(secret), version };
  const name = versionName(path, version);
  const stored = await selectStored(db.read, path);
  if (!stored || stored.version === null) throw notFound('version', name);
  assertUnexpired(name, stored.is_expired === true);
  assertReadable(name, stored.state);
  const { wrapped_dek: wrappedDek, sealed } = stored;
  if (!wrappedDek || !sealed) throw corrupted();
  const place = { instanceUid: stored.instance_uid, groupUid: stored.group_uid, secretUid: stored.secret_uid, version };
  return envelope.open(place, { wrappedDek, sealed }, caller).catch((error: unknown) => {
    const replaced = error instanceof AppError && error.reason === 'SCOPE_KEY_VERSION_DESTROYED';
    // The row has a fresh wrap by now.
    throw replaced ? new Overtaken('the key of the group was replaced') : error;
  });
};

/** To be wiped by who asked for it. */
export const generate = async (opener: Opener, secret: SecretRow, recipe: Recipe, caller: Caller): Promise<Value> => {
  if (!recipe.needsNewest || secret.latest_version === 0) return valueOf(recipe.make());
  const newest = await openNewest(opener, secret, caller);
  try {
    return valueOf(recipe.make(newest));
  } finally {
    newest.fill(0);
  }
};
