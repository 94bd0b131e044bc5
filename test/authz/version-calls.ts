// The calls about versions: what they are called, and what locks them.
import type { Clients, Options } from '../support/clients.ts';
import { fresh, newId } from '../support/tenants.ts';

/** What these calls want to see gone. */
export const prepareVersions = async (as: Clients, secret: string): Promise<void> => {
  await as.aliases.setVersionAlias({ name: secret, alias: 'doomed', version: 1, ...fresh() });
  await as.locks.createSecretLock({ parent: `${secret}/versions/1`, lockId: 'doomed', ...fresh() });
};

type MakeCall = (as: Clients, on: { secret: string }, options: Options) => Promise<unknown>;

export const VERSION_CALLS: Readonly<Record<string, MakeCall>> = {
  'SecretService/RollbackSecret': (as, on, o) => as.secrets.rollbackSecret({ name: on.secret, version: 1, ...fresh() }, o),
  'SecretVersionAliasService/SetVersionAlias': (as, on, o) =>
    as.aliases.setVersionAlias({ name: on.secret, alias: 'stable', version: 1, ...fresh() }, o),
  'SecretVersionAliasService/DeleteVersionAlias': (as, on, o) =>
    as.aliases.deleteVersionAlias({ name: on.secret, alias: 'doomed', ...fresh() }, o),
  'SecretLockService/CreateSecretLock': (as, on, o) =>
    as.locks.createSecretLock({ parent: `${on.secret}/versions/1`, lockId: newId('m'), ...fresh() }, o),
  'SecretLockService/ListSecretLocks': (as, on, o) => as.locks.listSecretLocks({ parent: on.secret }, o),
  'SecretLockService/DeleteSecretLock': (as, on, o) =>
    as.locks.deleteSecretLock({ name: `${on.secret}/versions/1/locks/doomed`, ...fresh() }, o),
  'SecretLockService/DeleteSecretLocks': (as, on, o) =>
    as.locks.deleteSecretLocks({ parent: on.secret, lockIdPattern: 'm-*', ...fresh() }, o),
};
