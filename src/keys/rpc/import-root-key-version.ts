import type { ImportRootKeyVersionRequest } from '../../gen/strongroom/keys/v1/import_service.ts';
import type { RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import { importInto, lockImported, parseImport } from '../importing.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseRootKey } from '../names.ts';
import { addImportedVersion, selectNextVersion } from '../sql/material.ts';
import { selectRootKey } from '../sql/root-keys.ts';

/** Scopes stay under the version that they are under until the next renewal moves them. */
export const importRootKeyVersion = async (keys: Keys, request: ImportRootKeyVersionRequest, call: Call): Promise<RootKey> => {
  const path = parseRootKey(request.name);
  const wanted = parseImport(request.material, path.keyRing, Date.now());
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });

  return importInto(
    keys,
    call,
    wanted,
    path.key,
    async (tx) => {
      const row = await lockImported(tx, path);
      const version = await selectNextVersion(tx, row.key_uid);
      const attributes = { key: row.key_uid, version: String(version), importJob: wanted.job.job };
      call.annotate({ instanceUid: row.owner ?? '', attributes });
      return { to: { keyUid: row.key_uid, version }, store: (key, material) => addImportedVersion(tx, key, material) };
    },
    async (tx) => {
      const row = await selectRootKey(tx, path);
      if (!row) throw notFound('root key', request.name);
      return toRootKey(row);
    },
  );
};
