// Grants on their way in, and what a service may use.
import type { Grant } from '../gen/strongroom/keys/v1/grant_service.ts';
import type { Queryable } from '../kernel/db.ts';
import { invalid, notFound } from '../kernel/errors.ts';
import { targetName, targetsAbove } from './access.ts';
import { parsePrincipal } from '../kernel/fields.ts';
import { parseRole } from './fields.ts';
import { notGranted } from './in-use.ts';
import type { Keys } from './keys.ts';
import { ALL, parseInstance, parseTarget, rootKeyName } from './names.ts';
import { hasUse, type GrantRow } from './sql/grants.ts';
import { addGrantEvents, type KeyChange } from './sql/key-events.ts';
import { selectKeyRing } from './sql/key-rings.ts';
import { selectKeyId, type RootKeyRow } from './sql/root-keys.ts';

type Wanted = Pick<GrantRow, 'principal' | 'instance' | 'target' | 'role'>;

export const checkGrant = (grant: Grant | undefined): Wanted => {
  if (!grant) throw invalid('grant', 'is required');
  const role = parseRole(grant.role, 'grant.role');
  if (grant.instance !== '' && role !== 'READER') throw invalid('grant.instance', 'is for ROLE_READER only');
  return {
    principal: parsePrincipal(grant.principal, 'grant.principal'),
    instance: grant.instance === '' ? '' : parseInstance(grant.instance, 'grant.instance', 'any'),
    target: targetName(parseTarget(grant.target, 'grant.target')),
    role,
  };
};

/** A grant on what does not exist would wait for somebody to create it. An alias stands for its key, and can be taken off it. */
export const loadTarget = async (tx: Queryable, name: string): Promise<string> => {
  const target = parseTarget(name);
  if (target === ALL) return name;
  if (!(await selectKeyRing(tx, target))) throw notFound('key ring', name);
  if (!('key' in target)) return name;
  const key = await selectKeyId(tx, target);
  if (key === undefined) throw notFound('root key', name);
  return rootKeyName({ ...target, key });
};

/** Tells the service that the grant is for; of one to a person nobody is told. */
export const tellOfGrant = async (tx: Queryable, change: KeyChange, { principal, instance, target: name }: GrantRow): Promise<void> => {
  if (instance === '') return;
  const target = parseTarget(name);
  await addGrantEvents(tx, change, { principal, instance, target: target === ALL ? {} : target });
};

/** Whether a service may register scopes for an instance under a root key. */
export const assertMayUse = async (
  keys: Keys,
  service: string,
  rootKey: RootKeyRow,
  given: { instanceUid: string; instance: string },
): Promise<void> => {
  const path = { keyRing: rootKey.key_ring, key: rootKey.key_id };
  if (rootKey.owner !== null) {
    if (!(keys.provisioners as readonly string[]).includes(service)) throw notGranted(rootKeyName(path));
    if (rootKey.owner !== given.instanceUid) throw invalid('instance_uid', 'is not the instance that the root key belongs to');
    return;
  }
  parseInstance(given.instance, 'instance', 'one');
  if (!(await hasUse(keys.db.read, service, given.instance, targetsAbove(path)))) throw notGranted(rootKeyName(path));
};
