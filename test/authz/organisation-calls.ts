// The calls about how secrets are organised, and about many of them at once.
import { AccessSecretVersionRequest } from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import type { Clients, Options } from '../support/clients.ts';
import { first } from './deletion-calls.ts';

interface On {
  group: string;
  secret: string;
}

export const ORGANISATION_CALLS: Readonly<Record<string, (as: Clients, on: On, options: Options) => Promise<unknown>>> = {
  // Open to everybody: the right to each item is asked for one by one.
  'SecretAccessService/BatchAccess': (as, on, o) =>
    as.access.batchAccess({ requests: [AccessSecretVersionRequest.fromPartial({ name: `${on.secret}/versions/1` })] }, o),
  'SecretWatchService/WatchSecrets': (as, on, o) => first(as.watchSecrets({ parent: on.group }, o)),
};
