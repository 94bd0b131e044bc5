import { status, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { AppError, fromServiceError, invalid, REASONS, toAppError, toStatus } from '../../src/kernel/errors.ts';

const asServiceError = (error: AppError): ServiceError => Object.assign(new Error(error.message), toStatus(error, 'id-1')) as ServiceError;

describe('errors on the wire', () => {
  it('arrive at another service as what they were: code, reason, message and metadata', () => {
    const sent = invalid('page_size', 'must not be negative');
    const received = fromServiceError(asServiceError(sent), 'KEYS_UNAVAILABLE');
    expect(received).toMatchObject({
      reason: 'INVALID_FIELD',
      code: 'INVALID_ARGUMENT',
      message: sent.message,
      metadata: { field: 'page_size' },
    });
  });

  it('every reason has a gRPC code, and toStatus sends exactly that code', () => {
    for (const reason of Object.keys(REASONS) as (keyof typeof REASONS)[]) {
      expect(toStatus(new AppError(reason, 'x'), 'id').code, reason).toBe(status[REASONS[reason]]);
    }
  });

  it('an error nobody expected becomes a fixed sentence with the request id, and keeps its text for the log only', () => {
    const error = toAppError(new Error('password=hunter2'), 'id-7');
    expect(error.code).toBe('INTERNAL');
    expect(error.message).toContain('id-7');
    expect(JSON.stringify(toStatus(error, 'id-7'))).not.toContain('hunter2');
  });

  it('an unreachable service becomes UNAVAILABLE with a delay after which to try again', () => {
    const raw = Object.assign(new Error('connect'), {
      code: status.UNAVAILABLE,
      details: 'connect ECONNREFUSED 10.0.0.1',
      metadata: undefined,
    });
    const error = fromServiceError(raw as unknown as ServiceError, 'AUDIT_UNAVAILABLE');
    expect(error).toMatchObject({ reason: 'AUDIT_UNAVAILABLE', code: 'UNAVAILABLE', retryAfterMs: 1000 });
    expect(error.message).not.toContain('10.0.0.1');
  });

  it('a lone surrogate in a message does not end the process', () => {
    expect(() => encodeURI(toStatus(new AppError('NOT_FOUND', 'half an emoji \ud83d'), 'id').details ?? '')).not.toThrow();
  });
});
