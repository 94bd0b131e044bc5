import { v7 as uuidv7 } from 'uuid';
import type { ImportRootKeyRequest } from '../../gen/strongroom/keys/v1/import_service.ts';
import type { RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import { importInto, parseImport } from '../importing.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseId, parseKeyRing, parseUuid, rootKeyName } from '../names.ts';
import { insertRootKey, selectRootKey } from '../sql/root-keys.ts';

export const importRootKey = async (keys: Keys, request: ImportRootKeyRequest, call: Call): Promise<RootKey> => {
  const path = { ...parseKeyRing(request.parent, 'parent'), key: parseId(request.rootKeyId, 'root_key_id') };
  const owner = request.owner === '' ? null : parseUuid(request.owner, 'owner');
  const wanted = parseImport(request.material, path.keyRing, Date.now());
  const [name, keyUid] = [rootKeyName(path), uuidv7()];
  const correlationId = parseCorrelationId(request.correlationId) || call.correlationId;
  call.annotate({ resource: name, instanceUid: owner ?? '', correlationId, attributes: { importJob: wanted.job.job } });

  return importInto(
    keys,
    call,
    wanted,
    path.key,
    async (tx) => {
      const taken = () => new AppError('ALREADY_EXISTS', `${name} exists; choose another ID`, { metadata: { resource: name } });
      if (await selectRootKey(tx, path)) throw taken();
      return {
        to: { keyUid, version: 1 },
        store: async ({ ref }, imported) => {
          if (!(await insertRootKey(tx, { ...path, keyUid, owner, ref, imported }))) throw taken();
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
