// Clients of a running stack, as one of its callers.
import { HealthCheckResponse_ServingStatus, HealthService } from '../gen/grpc/health/v1/health.ts';
import { dial, type ClientOf } from '../kernel/client.ts';
import type { Reason } from '../kernel/errors.ts';
import { parseSpiffeId } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import type { ServiceDefinition } from '../kernel/table.ts';
import { openTls } from '../kernel/tls.ts';
import { addressOf, spiffeIdOf, tlsFilesOf, type Caller, type Service, type Stack } from './stack.ts';

export interface Dialer extends AsyncDisposable {
  dial<S extends ServiceDefinition>(definition: S, service: Service): ClientOf<S>;
}

/** What a call is refused with when the service cannot be reached. */
const UNREACHABLE: Readonly<Record<Service, Reason>> = {
  audit: 'AUDIT_UNAVAILABLE',
  keys: 'KEYS_UNAVAILABLE',
  store: 'DATABASE_UNAVAILABLE',
  worker: 'DATABASE_UNAVAILABLE',
};

export const dialAs = (stack: Stack, caller: Caller): Dialer => {
  const tls = openTls(tlsFilesOf(stack, caller), openLog('dev', 'silent'));
  const opened: AsyncDisposable[] = [tls];
  return {
    dial: (definition, service) => {
      const spiffeId = parseSpiffeId(spiffeIdOf(service));
      if (!spiffeId) throw new Error(`${service} has no SPIFFE ID`);
      const client = dial(definition, { address: addressOf(stack, service), spiffeId }, tls, UNREACHABLE[service]);
      opened.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) await each[Symbol.asyncDispose]();
    },
  };
};

/** Whether a service says that it is healthy. */
export const isServing = async (stack: Stack, service: Service): Promise<boolean> => {
  await using operator = dialAs(stack, 'operator');
  // Awaited here: the connection ends with this function.
  return await operator
    .dial(HealthService, service)
    .check({ service: '' }, { deadline: Date.now() + 2_000 })
    .then(
      ({ status }) => status === HealthCheckResponse_ServingStatus.SERVING,
      () => false,
    );
};
