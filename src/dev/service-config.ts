// The gRPC service config for clients: for every method how long to wait, and whether to try again. Made from the idempotency levels
// in the protos and the limits in the tables of RPCs: docs/client/service-config.json. Run as a command it writes that file; a test
// says when it is time to.
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel as Level } from '@bufbuild/protobuf/wkt';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Registration } from '../kernel/table.ts';
import { SOURCES } from './audit-events.ts';
import { ROOT } from './stack.ts';

export const FILE = join(ROOT, 'docs/client/service-config.json');
/** For other services of ours, which do not retry, and no client. */
const INTERNAL = ['strongroom.audit.v1.AuditWriterService', 'strongroom.keys.v1.KeyEventService'];

interface Policy {
  timeout?: string;
  retryPolicy?: object;
}

/** Of the server's own delays, which it sends as `grpc-retry-pushback-ms`, a client hears; these are for when no server has answered. */
const RETRY = {
  maxAttempts: 4,
  initialBackoff: '0.1s',
  maxBackoff: '2s',
  backoffMultiplier: 3,
  retryableStatusCodes: ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'],
};

const levelsOf = (): ReadonlyMap<string, Level> => {
  const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(join(ROOT, 'src/gen/descriptors.binpb')));
  return new Map(
    file.flatMap((each) =>
      each.service.flatMap((service) =>
        service.method.map(({ name, options }) => [
          `${each.package}.${service.name}/${name}`,
          options?.idempotencyLevel ?? Level.IDEMPOTENCY_UNKNOWN,
        ]),
      ),
    ),
  );
};

const policyOf = (row: Registration['table'][string], level: Level): Policy => ({
  // A stream may last; who watches opens it again by himself, at the place where it ended.
  ...('deadlineMs' in row.limits ? { timeout: `${row.limits.deadlineMs / 1_000}s` } : {}),
  ...(level === Level.IDEMPOTENCY_UNKNOWN ? {} : { retryPolicy: RETRY }),
});

export const serviceConfig = (): string => {
  const levels = levelsOf();
  const byPolicy = new Map<string, { name: { service: string; method: string }[] } & Policy>();
  for (const { service, definition, table } of SOURCES.flatMap(({ tables }) => tables)) {
    if (INTERNAL.includes(service)) continue;
    for (const [key, { path }] of Object.entries(definition)) {
      const method = path.slice(path.lastIndexOf('/') + 1);
      const policy = policyOf(table[key]!, levels.get(path.slice(1)) ?? Level.IDEMPOTENCY_UNKNOWN);
      const entry = byPolicy.get(JSON.stringify(policy)) ?? { name: [], ...policy };
      entry.name.push({ service, method });
      byPolicy.set(JSON.stringify(policy), entry);
    }
  }
  const config = {
    loadBalancingConfig: [{ round_robin: {} }],
    methodConfig: [...byPolicy.values()],
    // While more calls fail than succeed, none is tried again.
    retryThrottling: { maxTokens: 100, tokenRatio: 0.1 },
  };
  // One method a line, so that a change is easily seen.
  return `${JSON.stringify(config, undefined, 2).replaceAll(/\{\n\s+("service": .*)\n\s+("method": .*)\n\s+\}/g, '{ $1 $2 }')}\n`;
};

if (import.meta.main) writeFileSync(FILE, serviceConfig());
