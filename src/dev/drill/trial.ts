// Tries the wrapped keys of a keys database with today's folder of master keys, past every service, as who has stolen both would.
import { join } from 'node:path';
import { openKeyFiles } from '../../keys/key-files.ts';
import { rewrapScopeKey } from '../../keys/scope-keys.ts';
import { openSoftBackend } from '../../keys/soft.ts';
import { connect } from '../provision.ts';
import type { Stack } from '../stack.ts';
import { MASTER_KEYS } from './restored.ts';

export interface Trial {
  /** Wrapped scope keys in the database. */
  all: number;
  /** Those of them that open under one of the master keys, whatever its name. */
  opened: number;
}

interface Row {
  scopeUid: string;
  instanceUid: string;
  scopeVersion: number;
  wrapped: Buffer;
  keyUid: string;
  version: number;
  ref: Buffer;
}

const WRAPPED = `select o.scope_uid as "scopeUid", o.instance_uid as "instanceUid", s.version as "scopeVersion", s.wrapped_key as wrapped,
    v.key_uid as "keyUid", v.version, v.ref
  from scope_versions s join scopes o using (scope_uid) join root_key_versions v on v.key_uid = s.key_uid and v.version = s.key_version
  where s.wrapped_key is not null and v.ref is not null`;

const isOpened = async ({ scopeUid, instanceUid, scopeVersion, wrapped, ...version }: Row, masterKey: Buffer): Promise<boolean> => {
  const backend = openSoftBackend({ current: async () => '', use: (_, use) => use(masterKey) });
  return rewrapScopeKey(backend, { from: version, to: version, scopeUid, instanceUid, version: scopeVersion, wrapped }, Date.now()).then(
    () => true,
    () => false,
  );
};

export const tryMasterKeys = async (stack: Stack): Promise<Trial> => {
  const files = openKeyFiles(join(stack.state, MASTER_KEYS));
  const masterKeys = files.list().map((id) => files.read(id));
  const client = await connect(stack, 'keys', 'superuser');
  try {
    const { rows } = await client.query<Row>(WRAPPED);
    let opened = 0;
    for (const row of rows) {
      const each = await Promise.all(masterKeys.map((key) => isOpened(row, key)));
      if (each.includes(true)) opened++;
    }
    return { all: rows.length, opened };
  } finally {
    await client.end();
    for (const key of masterKeys) key.fill(0);
  }
};
