import type { ImportRootKeyRequest } from '../../gen/strongroom/keys/v1/import_service.ts';
import type { RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { newUid } from '../../kernel/uid.ts';
import { PROVIDER } from '../access.ts';
import { parseCorrelationId } from '../call-context.ts';
import { importInto, parseImport } from '../importing.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseId, parseKeyRing, rootKeyName } from '../names.ts';
import { recordImport } from '../sql/material.ts';
import { insertRootKey, selectRootKey, type NewRootKey } from '../sql/root-keys.ts';

/** What else there is to a root key can be set afterwards. */
const PLAIN: Omit<NewRootKey, 'keyUid' | 'ref' | 'keyRing' | 'key'> = {
  owner: null,
  origin: 'IMPORTED',
  display_name: '',
  description: '',
  labels: {},
  dual_authorization: false,
  rotation_seconds: null,
  expire_time: null,
};

export const importRootKey = async (keys: Keys, request: ImportRootKeyRequest, call: Call): Promise<RootKey> => {
  const path = { ...parseKeyRing(request.parent, 'parent'), key: parseId(request.rootKeyId, 'root_key_id') };
  if (path.keyRing === PROVIDER.keyRing) throw invalid('parent', 'must be a customer’s key ring; the keys of this one are made here');
  const wanted = parseImport(request.material, path.keyRing, Date.now());
  const [name, keyUid] = [rootKeyName(path), newUid()];
  const correlationId = parseCorrelationId(request.correlationId) || call.correlationId;
  call.annotate({ resource: name, correlationId, attributes: { importJob: wanted.job.job } });

  return importInto(
    keys,
    call,
    wanted,
    path,
    async (tx) => {
      const taken = () => new AppError('ALREADY_EXISTS', `${name} exists; choose another ID`, { metadata: { resource: name } });
      if (await selectRootKey(tx, path)) throw taken();
      return {
        to: { keyUid, version: 1 },
        store: async ({ ref }, imported) => {
          if (!(await insertRootKey(tx, { ...path, ...PLAIN, keyUid, ref }))) throw taken();
          await recordImport(tx, { keyUid, version: 1 }, imported);
        },
      };
    },
    async (tx) => {
      const row = await selectRootKey(tx, path);
      if (!row) throw notFound('root key', name);
      return toRootKey(row);
    },
  );
};
