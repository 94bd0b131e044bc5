import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { severityOf } from '../../src/kernel/severity.ts';

const done = (action: string) => severityOf({ action, code: 0, reason: '' });
const failed = (code: number, reason = 'X') => severityOf({ action: 'secrets.secret.read', code, reason });

describe('the severity of an entry', () => {
  it('is by the action when it was done: routine, a change, or something that is gone', () => {
    expect(['secrets.version.access', 'secrets.secret.create', 'audit.entry.list'].map(done)).toEqual(['NORMAL', 'NORMAL', 'NORMAL']);
    expect(['secrets.secret.update', 'keys.rootkey.disable', 'secrets.group.rekey.start'].map(done)).toEqual([
      'WARNING',
      'WARNING',
      'WARNING',
    ]);
    expect(['secrets.group.purge', 'keys.scope.version.destroy', 'secrets.binding.delete'].map(done)).toEqual([
      'CRITICAL',
      'CRITICAL',
      'CRITICAL',
    ]);
    expect(done('keys.importjob.expire')).toBe('NORMAL');
  });

  it('is by the code when it failed, as IBM has it by HTTP code: 401, 403 and 503 are critical, most others a warning', () => {
    expect([status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.UNAVAILABLE].map((code) => failed(code))).toEqual([
      'CRITICAL',
      'CRITICAL',
      'CRITICAL',
    ]);
    expect([status.INVALID_ARGUMENT, status.ABORTED, status.INTERNAL].map((code) => failed(code))).toEqual([
      'WARNING',
      'WARNING',
      'WARNING',
    ]);
    expect([status.NOT_FOUND, status.CANCELLED].map((code) => failed(code))).toEqual(['NORMAL', 'NORMAL']);
    expect(failed(status.FAILED_PRECONDITION, 'CIPHERTEXT_INVALID')).toBe('CRITICAL');
  });
});
