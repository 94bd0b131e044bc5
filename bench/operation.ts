// What an operation is to the load generator: where it goes, as whom, and for each call a request and the check of its
// answer.
import { crc32c } from '@node-rs/crc32';
import { randomBytes } from 'node:crypto';
import type { Caller, Service, Stack } from '../src/dev/stack.ts';
import type { SecretPayload } from '../src/gen/strongroom/secrets/v1/secret_service.ts';
import { openChannel } from './grpc.ts';

/** What there is to work on. */
export interface World {
  stack: Stack;
  echoPort: number;
  instance: Resource;
  groups: Resource[];
}
export interface Resource {
  name: string;
  uid: string;
}

export interface Prepared {
  /** Framed. */
  request: Buffer;
  /** Throws if this is not the right answer. */
  check: (reply: Buffer) => void;
}

export interface Target {
  readonly path: string;
  readonly to: Service | 'echo';
  readonly as: Caller | Service;
}

export interface Operation extends Target {
  /** What one call does so many times. */
  readonly items: number;
  next(): Prepared;
  /** After the load: reads back some of what was written. */
  readonly readBack?: () => readonly Prepared[];
}

export const portOf = ({ stack, echoPort }: World, to: Target['to']): number => (to === 'echo' ? echoPort : stack.ports[to]);

export const assertThat = (right: boolean, what: string): void => {
  if (!right) throw new Error(`wrong answer: ${what}`);
};

export const VALUE_BYTES = 1024;

/** A payload of random bytes, with its checksum. */
export const newPayload = (): SecretPayload => {
  const value = randomBytes(VALUE_BYTES);
  return { value: { $case: 'data', value }, crc32c: BigInt(crc32c(value) >>> 0) };
};

/** The same bytes, and the checksum that was computed when they were made. */
export const assertPayload = (got: SecretPayload | undefined, wanted: SecretPayload): void => {
  assertThat(
    got?.value?.$case === 'data' && wanted.value?.$case === 'data' && got.value.value.equals(wanted.value.value),
    'the payload is not what was written',
  );
  assertThat(got?.crc32c === wanted.crc32c, 'the checksum is not that of the payload');
};

/** Does each once, 32 at a time, and wants every one to succeed. */
export const doAll = async (world: World, { path, to, as }: Target, calls: readonly Prepared[]): Promise<void> => {
  const channel = openChannel(world.stack, as, portOf(world, to), 1);
  const left = calls[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const { request, check } of left) {
      const { status, message, body } = await channel.call(path, request);
      if (status !== 0) throw new Error(`${path} answered ${status}: ${message}`);
      check(body);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(32, calls.length) }, work));
  } finally {
    channel.close();
  }
};
