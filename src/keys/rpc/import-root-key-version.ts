import type { ImportRootKeyVersionRequest } from '../../gen/strongroom/keys/v1/import_service.ts';
import type { RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import { importInto, lockImported, parseImport } from '../importing.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseRootKey } from '../names.ts';
import { addKeyEvents } from '../sql/key-events.ts';
import { recordImport, selectNextVersion } from '../sql/material.ts';
import { addVersion } from '../sql/renewal.ts';
import { selectRootKey } from '../sql/root-keys.ts';
import { beginRotation } from '../sql/rotation.ts';

export const importRootKeyVersion = async (keys: Keys, request: ImportRootKeyVersionRequest, call: Call): Promise<RootKey> => {
  const path = parseRootKey(request.name);
  const wanted = parseImport(request.material, path.keyRing, Date.now());
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });

  return importInto(
    keys,
    call,
    wanted,
    path,
    async (tx) => {
      const row = await lockImported(tx, path, 'rotate');
      const version = await selectNextVersion(tx, row.key_uid);
      const attributes = { key: row.key_uid, version: String(version), importJob: wanted.job.job };
      call.annotate({ attributes });
      return {
        to: { keyUid: row.key_uid, version },
        store: async (key, material) => {
          await addVersion(tx, key, row.primary_version);
          await recordImport(tx, key, material);
          await beginRotation(tx, row.key_uid);
          await addKeyEvents(tx, row.key_uid, 'ROTATED');
        },
      };
    },
    async (tx) => {
      const row = await selectRootKey(tx, path);
      if (!row) throw notFound('root key', request.name);
      return toRootKey(row);
    },
  );
};
