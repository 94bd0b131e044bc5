// The calls about versions: what they are called, and what locks them.
import type { Clients, Options } from '../support/clients.ts';
import { fresh } from '../support/tenants.ts';

/** What these calls want to see gone. */
export const prepareVersions = async (as: Clients, secret: string): Promise<void> => {
  await as.aliases.setVersionAlias({ name: secret, alias: 'doomed', version: 1, ...fresh() });
};

type MakeCall = (as: Clients, on: { secret: string }, options: Options) => Promise<unknown>;

export const VERSION_CALLS: Readonly<Record<string, MakeCall>> = {
  'SecretService/RollbackSecret': (as, on, o) => as.secrets.rollbackSecret({ name: on.secret, version: 1, ...fresh() }, o),
  'SecretVersionAliasService/SetVersionAlias': (as, on, o) =>
    as.aliases.setVersionAlias({ name: on.secret, alias: 'stable', version: 1, ...fresh() }, o),
  'SecretVersionAliasService/DeleteVersionAlias': (as, on, o) =>
    as.aliases.deleteVersionAlias({ name: on.secret, alias: 'doomed', ...fresh() }, o),
};
