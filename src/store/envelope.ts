// Seals and opens payloads: AES-256-GCM under a DEK that the key service makes and unwraps. The only file that ever holds
// a plain DEK, and only for the length of one call. Concurrent calls to the key service leave as one.
//
// Sealed payload: format 0x01 ‖ IV (12) ‖ ciphertext ‖ tag (16). Additional data: `strongroom/payload/v1` 0x00 ‖ format ‖
// instance uid (16) ‖ secret uid (16) ‖ version (u32, big endian).
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  EnvelopeServiceService,
  type CallContext,
  type DekContext,
  type GenerateDekRequest,
  type ItemError,
  type UnwrapDekRequest,
} from '../gen/strongroom/keys/v1/envelope_service.ts';
import { batcher } from '../kernel/batch.ts';
import type { ClientOf } from '../kernel/client.ts';
import { AppError, fromItemError } from '../kernel/errors.ts';
import type { Call } from '../kernel/table.ts';
import { corrupted } from './payload.ts';

const FORMAT = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const NONE = Buffer.alloc(0);

/** Where a payload belongs; bound into it and into its DEK. */
export interface Place {
  instanceUid: string;
  groupUid: string;
  secretUid: string;
  version: number;
}

/** On whose call it is; what the key service is told of it. */
export type Caller = Pick<Call, 'principal' | 'resource' | 'facts' | 'correlationId' | 'traceId' | 'deadline'>;

export interface Sealed {
  wrappedDek: Buffer;
  sealed: Buffer;
}

/** A DEK that is not opened here. */
export interface Wrapped {
  readonly name: string;
  readonly place: Place;
  readonly wrappedDek: Buffer;
}

export interface Envelope {
  seal(place: Place, value: Buffer, call: Caller): Promise<Sealed>;
  /** The key service records it under `resource`, those of one call under the same one in one entry; unless given, under the call's own. */
  open(place: Place, stored: Sealed, call: Caller, resource?: string): Promise<Buffer>;
  /** Wraps DEKs for another group, in one call, at most 1,000; fails as the first that fails. */
  rewrapAll(wrapped: readonly Wrapped[], groupUid: string, call: Caller): Promise<Buffer[]>;
}

const aad = ({ instanceUid, secretUid, version }: Place): Buffer => {
  const bytes = Buffer.alloc(21 + 1 + 1 + 16 + 16 + 4);
  bytes.write('strongroom/payload/v1', 'latin1');
  bytes[22] = FORMAT;
  bytes.write(instanceUid.replaceAll('-', ''), 23, 'hex');
  bytes.write(secretUid.replaceAll('-', ''), 39, 'hex');
  bytes.writeUInt32BE(version, 55);
  return bytes;
};

export const sealWith = (dek: Buffer, place: Place, value: Buffer, iv: Buffer = randomBytes(IV_BYTES)): Buffer => {
  const cipher = createCipheriv('aes-256-gcm', dek, iv).setAAD(aad(place));
  return Buffer.concat([Buffer.of(FORMAT), iv, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
};

export const openWith = (dek: Buffer, place: Place, sealed: Buffer): Buffer => {
  if (sealed.length < 1 + IV_BYTES + TAG_BYTES || sealed[0] !== FORMAT) throw corrupted();
  const decipher = createDecipheriv('aes-256-gcm', dek, sealed.subarray(1, 1 + IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(aad(place)).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    const head = decipher.update(sealed.subarray(1 + IV_BYTES, sealed.length - TAG_BYTES));
    decipher.final();
    return head;
  } catch (error) {
    throw corrupted(error);
  }
};

const contextOf = (place: Place): DekContext => ({
  instanceUid: place.instanceUid,
  resourceUid: place.secretUid,
  version: place.version,
  additionalData: NONE,
});
const callContextOf = (call: Caller, resource: string = call.facts.resource ?? call.resource): CallContext => ({
  principal: call.principal,
  resource,
  correlationId: call.correlationId,
  traceId: call.traceId,
});

const unwrapRequestOf = (place: Place, wrappedDek: Buffer, callContext: CallContext): UnwrapDekRequest => ({
  scope: `scopes/${place.groupUid}`,
  context: contextOf(place),
  wrappedDek,
  callContext,
});

/** The caller sent no ciphertext and no scope: if ours do not fit, it is our data that is wrong. */
const ours = <E>(error: E): E | AppError =>
  error instanceof AppError && (error.reason === 'CIPHERTEXT_INVALID' || error.reason === 'NOT_FOUND') ? corrupted(error) : error;

export const openEnvelope = (keys: ClientOf<typeof EnvelopeServiceService>): Envelope => {
  // As many as the key service takes at once: a batch of ours leaves whole.
  const limits = { max: 1_000, queue: 32_768, late: 'KEYS_UNAVAILABLE' } as const;
  const generate = batcher<GenerateDekRequest, { dek: Buffer; wrappedDek: Buffer }>({
    ...limits,
    run: async (requests, deadline) => {
      const { results } = await keys.batchGenerateDeks({ requests }, { deadline });
      return results.map(({ outcome }) => (outcome?.$case === 'response' ? outcome.value : failed(outcome?.value)));
    },
  });
  const unwrap = batcher<UnwrapDekRequest, { dek: Buffer; askedAt: number }>({
    ...limits,
    run: async (requests, deadline) => {
      const askedAt = performance.now();
      const { results } = await keys.batchUnwrapDeks({ requests }, { deadline });
      return results.map(({ outcome }) => (outcome?.$case === 'response' ? { dek: outcome.value.dek, askedAt } : failed(outcome?.value)));
    },
  });

  return {
    seal: async (place, value, call) => {
      const request = { scope: `scopes/${place.groupUid}`, context: contextOf(place), callContext: callContextOf(call) };
      const { dek, wrappedDek } = await generate(request, call.deadline);
      try {
        return { wrappedDek, sealed: sealWith(dek, place, value) };
      } finally {
        dek.fill(0);
      }
    },
    open: async (place, stored, call, resource) => {
      const request = unwrapRequestOf(place, stored.wrappedDek, callContextOf(call, resource));
      const { dek, askedAt } = await unwrap(request, call.deadline).catch((error: unknown) => {
        throw ours(error);
      });
      try {
        return openWith(fresh(dek, askedAt), place, stored.sealed);
      } finally {
        dek.fill(0);
      }
    },
    rewrapAll: async (wrapped, groupUid, call) => {
      if (wrapped.length === 0) return [];
      const requests = wrapped.map(({ name, place, wrappedDek }) => ({
        ...unwrapRequestOf(place, wrappedDek, callContextOf(call, name)),
        targetScope: `scopes/${groupUid}`,
      }));
      const { results } = await keys.batchRewrapDeks({ requests }, { deadline: call.deadline });
      return wrapped.map((_, i) => {
        const outcome = results[i]?.outcome;
        if (outcome?.$case !== 'response') throw ours(failed(outcome?.value));
        return outcome.value.wrappedDek;
      });
    },
  };
};

const failed = (error: ItemError | undefined): AppError =>
  error ? fromItemError(error) : new AppError('KEYS_UNAVAILABLE', 'the key service gave no answer; try again');

/** The bound on revocation: an answer that was long under way may come from before a key was disabled. */
const fresh = (dek: Buffer, askedAt: number): Buffer => {
  if (performance.now() - askedAt > 500)
    throw new AppError('KEYS_UNAVAILABLE', 'the key service took too long to answer; try again', { retryAfterMs: 100 });
  return dek;
};
