// The next version of a secret, in two steps: it is sealed for the number that is next now, since that is bound into it, and stored
// if that number is still free.
import type { Transaction } from '../kernel/db.ts';
import type { Caller, Envelope, Sealed } from './envelope.ts';
import { assertKeyInUse, Overtaken } from './key-version.ts';
import { rotationGuarded } from './lock.ts';
import { pathOf } from './messages.ts';
import { secretName } from './names.ts';
import type { Value } from './payload.ts';
import { scheduleExpiry } from './sql/expirations.ts';
import { insertVersion, type VersionRow } from './sql/secret-versions.ts';
import { setLatestVersion, type SecretRow } from './sql/secrets.ts';
import { markTrim } from './sql/trims.ts';
import { selectGuard } from './sql/version-locks.ts';
import { assertTakes } from './types/types.ts';

export interface Prepared extends Omit<Value, 'bytes'>, Sealed {
  version: number;
  sizeBytes: number;
  expireTime: Date | null;
  copiedFrom?: number;
}

type Key = Pick<SecretRow, 'instance_uid' | 'secret_uid'>;

export const prepareVersion = async (
  envelope: Envelope,
  secret: Key & Pick<SecretRow, 'group_uid' | 'latest_version' | 'type'>,
  { bytes, ...value }: Value,
  expireTime: Date | null,
  caller: Caller,
): Promise<Prepared> => {
  assertTakes(secret.type, value.kind);
  const version = secret.latest_version + 1;
  const place = { instanceUid: secret.instance_uid, groupUid: secret.group_uid, secretUid: secret.secret_uid, version };
  return { ...value, ...(await envelope.seal(place, bytes, caller)), version, sizeBytes: bytes.length, expireTime };
};

/** Of a secret that is just being made. */
export const insertPrepared = async (tx: Transaction, secret: Key, prepared: Prepared): Promise<VersionRow> => {
  const inserted = await insertVersion(tx, { ...prepared, instanceUid: secret.instance_uid, secretUid: secret.secret_uid });
  scheduleExpiry(tx, secret, prepared.version, prepared.expireTime);
  return inserted;
};

/** To be called with the secret locked. A lock may forbid it. Throws Overtaken if it has to be prepared again. */
export const storeVersion = async (tx: Transaction, secret: SecretRow, prepared: Prepared): Promise<VersionRow> => {
  if (secret.latest_version + 1 !== prepared.version) throw new Overtaken('other writers were adding versions to this secret');
  assertKeyInUse(secret, prepared.wrappedDek);
  const [guard, inserted] = await Promise.all([selectGuard(tx, secret, secret.latest_version), insertPrepared(tx, secret, prepared)]);
  if (guard) throw rotationGuarded(secretName(pathOf(secret)), guard);
  setLatestVersion(tx, secret, prepared.version);
  markTrim(tx, secret);
  return inserted;
};
