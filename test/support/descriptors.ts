// The RPCs that there are, from the compiled descriptors, so that no test has a list of its own that can fall behind.
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, type Service } from '../../src/dev/stack.ts';

export interface Rpc {
  /** `package.Service/Method`. */
  name: string;
  /** The process that serves it. */
  service: Service;
  /** It changes something, and can be repeated. */
  mutation: boolean;
}

const SERVED_BY: Readonly<Record<string, Service>> = {
  'strongroom.secrets.v1': 'store',
  'strongroom.keys.v1': 'keys',
  'strongroom.audit.v1': 'audit',
};

export const rpcs = (): Rpc[] =>
  fromBinary(FileDescriptorSetSchema, readFileSync(join(ROOT, 'src/gen/descriptors.binpb')))
    .file.filter((file) => file.package.startsWith('strongroom.'))
    .flatMap((file) =>
      file.service.flatMap((service) =>
        service.method.map((method) => {
          const served = SERVED_BY[file.package];
          if (!served) throw new Error(`which process serves ${file.package}?`);
          const mutation = method.options?.idempotencyLevel === MethodOptions_IdempotencyLevel.IDEMPOTENT;
          return { name: `${file.package}.${service.name}/${method.name}`, service: served, mutation };
        }),
      ),
    );
