// The service config that clients are given: as the protos and the tables say, and such that a client's library takes it.
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel as Level } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FILE, serviceConfig } from '../src/dev/service-config.ts';
import { ROOT } from '../src/dev/stack.ts';

interface Config {
  methodConfig: { name: { service: string; method: string }[]; timeout?: string; retryPolicy?: object }[];
}
const config = JSON.parse(readFileSync(FILE, 'utf8')) as Config;
const policies: ReadonlyMap<string, Omit<Config['methodConfig'][number], 'name'>> = new Map(
  config.methodConfig.flatMap(({ name, ...policy }) => name.map(({ service, method }) => [`${service}/${method}`, policy] as const)),
);
const methods = fromBinary(FileDescriptorSetSchema, readFileSync(join(ROOT, 'src/gen/descriptors.binpb')))
  .file.filter((file) => file.package.startsWith('strongroom.'))
  .flatMap((file) =>
    file.service.flatMap((service) =>
      service.method.map((method) => ({ file, method, name: `${file.package}.${service.name}/${method.name}` })),
    ),
  );

describe('docs/client/service-config.json', () => {
  it('is what the code says; if not, run: node src/dev/service-config.ts', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(serviceConfig());
  });

  it('is taken by the library, which refuses one that is wrong', () => {
    const open = (text: string) => new Client('127.0.0.1:1', credentials.createInsecure(), { 'grpc.service_config': text }).getChannel();
    expect(() => open(serviceConfig().replace('"0.1s"', '"soon"')).getConnectivityState(true)).toThrow(/backoff/i);
    open(serviceConfig()).getConnectivityState(true);
  });

  it('has every method that clients call', () => {
    const missing = methods.map(({ name }) => name).filter((name) => !policies.has(name));
    expect(missing.filter((name) => !/AuditWriterService|KeyEventService/.test(name))).toEqual([]);
  });

  it('retries no change but one that can be repeated', () => {
    for (const { method, name } of methods) {
      const level = method.options?.idempotencyLevel ?? Level.IDEMPOTENCY_UNKNOWN;
      if (policies.has(name)) expect(policies.get(name)!.retryPolicy !== undefined, name).toBe(level !== Level.IDEMPOTENCY_UNKNOWN);
    }
  });

  it('retries changes of the secret store only because they take a request id', () => {
    const without = methods.filter(({ file, method }) => {
      const request = file.messageType.find(({ name }) => method.inputType.endsWith(`.${name}`));
      const takesId = request?.field.some(({ name }) => name === 'request_id') ?? false;
      return file.package === 'strongroom.secrets.v1' && method.options?.idempotencyLevel === Level.IDEMPOTENT && !takesId;
    });
    expect(without.map(({ name }) => name)).toEqual([]);
  });

  it('gives every call a time, and no stream one', () => {
    for (const { method, name } of methods)
      if (policies.has(name)) expect(policies.get(name)!.timeout !== undefined, name).toBe(!method.serverStreaming);
  });
});
