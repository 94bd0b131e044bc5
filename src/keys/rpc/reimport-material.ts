import type { ReimportMaterialRequest } from '../../gen/strongroom/keys/v1/import_service.ts';
import type { RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import { importInto, lockImported, parseImport } from '../importing.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseRootKey } from '../names.ts';
import { addKeyEvents } from '../sql/key-events.ts';
import { bringMaterialBack, selectImportedVersion, type ImportedVersionRow } from '../sql/material.ts';
import { selectRootKey } from '../sql/root-keys.ts';

export const reimportMaterial = async (keys: Keys, request: ReimportMaterialRequest, call: Call): Promise<RootKey> => {
  const path = parseRootKey(request.name);
  const { name, version } = request;
  if (version < 1) throw invalid('version', 'must be 1 or more');
  const wanted = parseImport(request.material, path.keyRing, Date.now());
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });

  return importInto(
    keys,
    call,
    wanted,
    path,
    async (tx) => {
      const { key_uid: keyUid } = await lockImported(tx, path, 'update');
      call.annotate({ attributes: { key: keyUid, version: String(version), importJob: wanted.job.job } });
      const row = await selectImportedVersion(tx, keyUid, version);
      if (!row) throw notFound('root key version', `${name}/versions/${version}`);
      if (!row.ref) throw new AppError('KEY_DESTROYED', `version ${version} of ${name} was destroyed`, { metadata: { resource: name } });
      if (isShortened(row, wanted.expireTime))
        throw invalid('material.expire_time', 'must not be earlier than it is while the material is here; what uses the key counts on it');
      return {
        to: { keyUid, version, ref: row.ref },
        checkValue: row.check_value,
        store: async (key, { expireTime }) => {
          await bringMaterialBack(tx, key, expireTime);
          if (row.is_expired) await addKeyEvents(tx, keyUid, 'MATERIAL_REIMPORTED');
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

/** Scope keys in memory know when their material expires: sooner than that would be too late for them. */
const isShortened = ({ is_expired: isExpired, material_expire_time: before }: ImportedVersionRow, after: Date | null): boolean =>
  !isExpired && (after?.getTime() ?? Infinity) < (before?.getTime() ?? Infinity);
