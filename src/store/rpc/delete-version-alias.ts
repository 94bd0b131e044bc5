import type { Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { DeleteVersionAliasRequest } from '../../gen/strongroom/secrets/v1/secret_version_alias_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkExpected, parseAlias, withoutAlias } from '../aliases.ts';
import { changeAliases } from '../change-aliases.ts';
import type { Store } from '../store.ts';

export const deleteVersionAlias = (store: Store, request: DeleteVersionAliasRequest, call: Call): Promise<Secret> => {
  const alias = parseAlias(request.alias, 'alias');
  return changeAliases(store, call, request, DeleteVersionAliasRequest, async (_, secret) => {
    const before = checkExpected(secret, request.name, alias, request.expectedVersion);
    if (before === undefined) throw notFound('alias', `${alias} of ${request.name}`);
    call.annotate({ attributes: { alias, versionBefore: String(before) } });
    return withoutAlias(secret, alias);
  });
};
