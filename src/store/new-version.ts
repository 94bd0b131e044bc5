// The next version of a secret, in two steps: it is sealed for the number that is next now, since that is bound into it, and stored
// if that number is still free.
import type { Transaction } from '../kernel/db.ts';
import type { Call } from '../kernel/table.ts';
import type { Envelope, Sealed } from './envelope.ts';
import { assertKeyInUse, Overtaken } from './key-version.ts';
import { rotationGuarded } from './lock.ts';
import { pathOf } from './messages.ts';
import { secretName } from './names.ts';
import type { Value } from './payload.ts';
import { insertVersion, type VersionRow } from './sql/secret-versions.ts';
import { selectGuard } from './sql/version-locks.ts';
import { markTrim } from './sql/trims.ts';
import { setLatestVersion, type SecretRow } from './sql/secrets.ts';

export interface Prepared extends Omit<Value, 'bytes'>, Sealed {
  version: number;
  sizeBytes: number;
  copiedFrom?: number;
}

export const prepareVersion = async (envelope: Envelope, secret: SecretRow, { bytes, ...value }: Value, call: Call): Promise<Prepared> => {
  const version = secret.latest_version + 1;
  const place = { instanceUid: secret.instance_uid, groupUid: secret.group_uid, secretUid: secret.secret_uid, version };
  return { ...value, ...(await envelope.seal(place, bytes, call)), version, sizeBytes: bytes.length };
};

/** To be called with the secret locked. A lock may forbid it. Throws Overtaken if it has to be prepared again. */
export const storeVersion = async (tx: Transaction, secret: SecretRow, prepared: Prepared): Promise<VersionRow> => {
  if (secret.latest_version + 1 !== prepared.version) throw new Overtaken('other writers were adding versions to this secret');
  assertKeyInUse(secret, prepared.wrappedDek);
  const { instance_uid: instanceUid, secret_uid: secretUid } = secret;
  const [guard, inserted] = await Promise.all([
    selectGuard(tx, secret, secret.latest_version),
    insertVersion(tx, { ...prepared, instanceUid, secretUid }),
  ]);
  if (guard) throw rotationGuarded(secretName(pathOf(secret)), guard);
  setLatestVersion(tx, secret, prepared.version);
  markTrim(tx, secret);
  return inserted;
};
