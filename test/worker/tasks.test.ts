// What the worker takes for a job.
import { describe, expect, it } from 'vitest';
import { TASKS } from '../../src/worker/tasks.ts';

const UID = '01a20f4c-ac2c-7693-9cca-acd287d2ee87';
const parse = (payload: unknown): unknown => TASKS['purge']?.parse(payload);

describe('the job of a purge', () => {
  it('is what the store adds: the uid of a deleted resource', () => {
    expect(parse({ uid: UID })).toEqual({ uid: UID, failures: 0 });
    expect(parse({ uid: UID, failures: 3 })).toEqual({ uid: UID, failures: 3 });
  });

  it('is refused when it is anything else, before a statement is run with it', () => {
    for (const payload of [undefined, null, 'x', [], {}, { uid: 'x' }, { uid: UID, failures: -1 }, { uid: UID, other: 1 }, [{ uid: UID }]])
      expect(() => parse(payload), JSON.stringify(payload)).toThrow();
  });
});
