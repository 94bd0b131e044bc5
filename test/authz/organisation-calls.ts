// The calls about how secrets are organised, and about many of them at once.
import { AccessSecretVersionRequest } from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import type { Clients, Options } from '../support/clients.ts';
import { fresh, text } from '../support/tenants.ts';
import { first } from './deletion-calls.ts';

export interface OrganisationTargets {
  /** A secret that a call wants in another group. */
  movable: string;
}

export const makeOrganisationTargets = async (operator: Clients, parent: string): Promise<OrganisationTargets> => ({
  movable: (await operator.secrets.createSecret({ parent, secretId: 'movable', payload: text('a value'), ...fresh() })).name,
});

interface On extends OrganisationTargets {
  group: string;
  rekeyed: string;
  secret: string;
}

export const ORGANISATION_CALLS: Readonly<Record<string, (as: Clients, on: On, options: Options) => Promise<unknown>>> = {
  // Open to everybody: the right to each item is asked for one by one.
  'SecretAccessService/BatchAccess': (as, on, o) =>
    as.access.batchAccess({ requests: [AccessSecretVersionRequest.fromPartial({ name: `${on.secret}/versions/1` })] }, o),
  'SecretMoveService/MoveSecret': (as, on, o) => as.moves.moveSecret({ name: on.movable, destinationParent: on.rekeyed, ...fresh() }, o),
  'SecretWatchService/WatchSecrets': (as, on, o) => first(as.watchSecrets({ parent: on.group }, o)),
};
