// The standard services beside our own: health, which every peer may ask for, and reflection, which the configuration
// grants; both tell of the services that the process has, and of no other.
import { Client, Metadata, status } from '@grpc/grpc-js';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import { addressOf, CALLERS, SERVICES, spiffeIdOf, type Service } from '../../src/dev/stack.ts';
import { HealthCheckResponse_ServingStatus as Health, HealthService } from '../../src/gen/grpc/health/v1/health.ts';
import { ServerReflectionService, type ServerReflectionResponse } from '../../src/gen/grpc/reflection/v1/reflection.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, connectWith, materialOf, unary } from '../support/clients.ts';
import { rpcs } from '../support/descriptors.ts';
import { materialFor, spiffe } from '../support/identities.ts';
import { newId } from '../support/tenants.ts';

const stack = inject('stack');
const auditor = clientsOf(stack, 'auditor');
const open: Client[] = [];
afterAll(() => {
  auditor[Symbol.dispose]();
  for (const client of open) client.close();
});
const connect = (service: Service, material: Parameters<typeof connectWith>[1]): Client => {
  const client = connectWith(addressOf(stack, service), material);
  open.push(client);
  return client;
};
const servicesOf = (service: Service): string[] => [
  ...new Set(
    rpcs()
      .filter((rpc) => rpc.service === service)
      .map(({ name }) => name.split('/')[0]!),
  ),
];

/** What reflection answers to the question which services there are: their names, or the status that it ends with. */
const reflect = (client: Client): Promise<string[] | string> =>
  new Promise((resolve) => {
    const { path, requestSerialize, responseDeserialize } = ServerReflectionService.serverReflectionInfo;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata(), {
      deadline: Date.now() + 5_000,
    });
    call.on('data', ({ messageResponse }: ServerReflectionResponse) => {
      if (messageResponse?.$case === 'listServicesResponse') resolve(messageResponse.value.service.map(({ name }) => name));
      call.end();
    });
    call.on('error', (error: { code: number }) => resolve(status[error.code] ?? 'unknown'));
    call.write({ host: '', messageRequest: { $case: 'listServices', value: '' } });
  });

describe.each(SERVICES)('%s', (service) => {
  it('tells every peer with a good certificate how it is, by the name of each of its services', async () => {
    for (const material of [materialOf(stack, 'app2'), materialOf(stack, 'keys'), await materialFor(stack, { uris: [spiffe('prober')] })]) {
      const health = unary(connect(service, material), HealthService);
      for (const name of ['', ...servicesOf(service)])
        expect(await health.check({ service: name }), name).toEqual({ status: Health.SERVING });
      await expect(health.check({ service: 'strongroom.Nothing' })).rejects.toMatchObject({ code: status.NOT_FOUND });
    }
  });

  it('shows its own services through reflection to whom the configuration names', async () => {
    for (const caller of CALLERS) {
      const shown = await reflect(connect(service, materialOf(stack, caller)));
      expect([...shown].sort(), caller).toEqual([...servicesOf(service), 'grpc.health.v1.Health'].sort());
    }
  });

  it('shows nobody else anything, and records who tried', async () => {
    const path = newId('curious');
    const begin = await sizeOf(auditor);
    const curious: [string, Client][] = [
      [spiffe(path), connect(service, await materialFor(stack, { uris: [spiffe(path)] }))],
      [spiffeIdOf('worker'), connect(service, materialOf(stack, 'worker'))],
    ];
    for (const [, client] of curious) expect(await reflect(client)).toBe('PERMISSION_DENIED');
    for (const [principal] of curious) {
      // These are recorded once their stream has ended, beside the answer.
      await vi.waitFor(async () => {
        const told = (await entriesOf(auditor, { principal }, begin))
          .filter(({ source }) => source === spiffeIdOf(service))
          .map(({ event }) => event);
        expect(told.filter((event) => event?.action === 'rpc.call.refuse')).toMatchObject([
          {
            principal,
            resource: ServerReflectionService.serverReflectionInfo.path,
            outcome: Event_Outcome.DENIED,
            code: status.PERMISSION_DENIED,
          },
        ]);
      });
    }
  });
});
