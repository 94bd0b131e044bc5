// Clients of a running stack, as one of its callers.
import { HealthService, HealthCheckResponse_ServingStatus as ServingStatus } from '../gen/grpc/health/v1/health.ts';
import { dial, type ClientOf } from '../kernel/client.ts';
import { parseSpiffeId } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import type { ServiceDefinition } from '../kernel/table.ts';
import { openTls } from '../kernel/tls.ts';
import { addressOf, spiffeIdOf, tlsFilesOf, type Caller, type Service, type Stack } from './stack.ts';

const log = openLog('dev', 'silent');

export interface Dialer extends AsyncDisposable {
  dial<S extends ServiceDefinition>(definition: S, service: Service): ClientOf<S>;
}

export const dialAs = (stack: Stack, caller: Caller): Dialer => {
  const tls = openTls(tlsFilesOf(stack, caller), log);
  const opened: AsyncDisposable[] = [tls];
  return {
    dial: (definition, service) => {
      const spiffeId = parseSpiffeId(spiffeIdOf(service));
      if (!spiffeId) throw new Error(`${service} has no SPIFFE ID`);
      const client = dial(definition, { address: addressOf(stack, service), spiffeId }, tls, 'DATABASE_UNAVAILABLE');
      opened.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of opened) await each[Symbol.asyncDispose]();
    },
  };
};

export interface HealthProbe extends AsyncDisposable {
  readonly isServing: () => Promise<boolean>;
}

/** Asks a service for its health, as the operator. */
export const openHealthProbe = (stack: Stack, service: Service): HealthProbe => {
  const dialer = dialAs(stack, 'operator');
  const health = dialer.dial(HealthService, service);
  return {
    isServing: () =>
      health.check({ service: '' }, { deadline: Date.now() + 2_000 }).then(
        ({ status }) => status === ServingStatus.SERVING,
        () => false,
      ),
    [Symbol.asyncDispose]: () => dialer[Symbol.asyncDispose](),
  };
};
