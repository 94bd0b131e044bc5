import type { RootKey, UpdateRootKeyRequest } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import { checkMask } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import { changeRootKey } from '../change.ts';
import { checkAliases, checkDescribed, checkRotation } from '../fields.ts';
import { aliasTaken } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { keyRingName, parseRootKey } from '../names.ts';
import { addNames, removeNames, updateRootKey as update } from '../sql/root-keys.ts';

const FIELDS = ['display_name', 'description', 'labels', 'aliases', 'rotation_policy', 'dual_authorization'] as const;

export const updateRootKey = async (keys: Keys, request: UpdateRootKeyRequest, call: Call): Promise<RootKey> => {
  const given = request.rootKey;
  if (!given) throw invalid('root_key', 'is required');
  const { name, etag } = given;
  const { keyRing } = parseRootKey(name, 'root_key.name');
  const populated: Record<(typeof FIELDS)[number], boolean> = {
    display_name: given.displayName !== '',
    description: given.description !== '',
    labels: given.labels.size > 0,
    aliases: given.aliases.length > 0,
    rotation_policy: given.rotationPolicy !== undefined,
    dual_authorization: given.dualAuthorization,
  };
  const fields = checkMask(request.updateMask, FIELDS, (field) => populated[field]);
  const has = (field: (typeof FIELDS)[number]) => fields.includes(field);
  const described = checkDescribed(given, 'root_key');
  const rotation = checkRotation(given.rotationPolicy, 'root_key.rotation_policy', keys.rotationMinimumSeconds);
  call.annotate({ attributes: { fields: fields.join(',') } });

  return changeRootKey(keys, call, {
    name,
    etag,
    operation: 'update',
    apply: async (tx, row) => {
      if (has('dual_authorization') && row.dual_authorization && !given.dualAuthorization)
        throw invalid('root_key.dual_authorization', 'cannot be taken off once it is set');
      if (has('rotation_policy') && rotation !== null && row.origin === 'IMPORTED') throw importedPolicy(name);
      if (has('aliases')) {
        const aliases = checkAliases(given.aliases, 'root_key.aliases', row.key_id);
        await removeNames(
          tx,
          row.key_uid,
          row.aliases.filter((alias) => !aliases.includes(alias)),
        );
        const added = aliases.filter((alias) => !row.aliases.includes(alias));
        if ((await addNames(tx, row.key_uid, keyRing, added)).length < added.length) throw aliasTaken(keyRingName({ keyRing }));
      }
      await update(tx, row.key_uid, {
        display_name: has('display_name') ? described.display_name : row.display_name,
        description: has('description') ? described.description : row.description,
        labels: has('labels') ? described.labels : row.labels,
        dual_authorization: has('dual_authorization') ? given.dualAuthorization : row.dual_authorization,
        rotation_seconds: has('rotation_policy') ? rotation : row.rotation_seconds,
      });
    },
  });
};

const importedPolicy = (name: string): AppError =>
  invalid('root_key.rotation_policy', `is not for imported material: a rotation of ${name} needs new material from you`);
