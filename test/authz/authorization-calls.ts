// The calls about who is who, who may do what, and how much.
import { InstanceLimits } from '../../src/gen/strongroom/secrets/v1/limit_service.ts';
import { fresh } from '../support/tenants.ts';
import type { Clients, Options } from '../support/clients.ts';

type MakeCall = (as: Clients, on: { instance: string; secret: string }, options: Options) => Promise<unknown>;

export const AUTHORIZATION_CALLS: Readonly<Record<string, MakeCall>> = {
  'AuthorizationService/WhoAmI': (as, _, o) => as.authorization.whoAmI({}, o),
  'AuthorizationService/TestPermissions': (as, on, o) =>
    as.authorization.testPermissions({ resource: on.secret, actions: ['secrets.secret.read'] }, o),
  'AuthorizationService/ListSecretReaders': (as, on, o) => as.authorization.listSecretReaders({ name: on.secret }, o),
  'LimitService/GetLimits': (as, on, o) => as.limits.getLimits({ name: on.secret }, o),
  'LimitService/SetInstanceLimits': (as, on, o) =>
    as.limits.setInstanceLimits({ name: on.instance, limits: InstanceLimits.fromPartial({ groupsCount: 1_000n }), ...fresh() }, o),
};
