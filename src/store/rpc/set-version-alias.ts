import { Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { SetVersionAliasRequest } from '../../gen/strongroom/secrets/v1/secret_version_alias_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkExpected, parseAlias, withAlias } from '../aliases.ts';
import { changeAliases } from '../change-aliases.ts';
import { loadVersion } from '../load.ts';
import { parseSecret, versionName } from '../names.ts';
import { assertKept } from '../state.ts';
import type { Store } from '../store.ts';

export const setVersionAlias = (store: Store, request: SetVersionAliasRequest, call: Call): Promise<Secret> => {
  const path = parseSecret(request.name);
  const alias = parseAlias(request.alias, 'alias');
  const { version } = request;
  if (version < 1) throw invalid('version', 'must be the number of a version, from 1');
  return changeAliases(store, call, request, SetVersionAliasRequest, async (tx, secret) => {
    const before = checkExpected(secret, request.name, alias, request.expectedVersion);
    assertKept(versionName(path, version), (await loadVersion(tx, { ...path, version }, secret)).state);
    call.annotate({ attributes: { alias, version: String(version), ...(before ? { versionBefore: String(before) } : {}) } });
    return withAlias(secret, request.name, alias, version);
  });
};
