// The calls about who is who and who may do what.
import type { Clients, Options } from '../support/clients.ts';

type MakeCall = (as: Clients, on: { secret: string }, options: Options) => Promise<unknown>;

export const AUTHORIZATION_CALLS: Readonly<Record<string, MakeCall>> = {
  'AuthorizationService/WhoAmI': (as, _, o) => as.authorization.whoAmI({}, o),
  'AuthorizationService/TestPermissions': (as, on, o) =>
    as.authorization.testPermissions({ resource: on.secret, actions: ['secrets.secret.read'] }, o),
  'AuthorizationService/ListSecretReaders': (as, on, o) => as.authorization.listSecretReaders({ name: on.secret }, o),
};
