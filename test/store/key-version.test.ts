import { describe, expect, it } from 'vitest';
import { assertKeyInUse, keyVersionOf, Overtaken, untilInTime } from '../../src/store/key-version.ts';
import { AppError } from '../../src/kernel/errors.ts';

const wrapped = (format: number, version: number): Buffer => Buffer.concat([Buffer.of(format, 0, 0, 0, version), Buffer.alloc(112, 9)]);

describe('the version of a group’s key that a data key is wrapped by', () => {
  it('stands in the wrap, and is the first one in the first format', () => {
    expect(keyVersionOf(wrapped(2, 7))).toBe(7);
    expect(keyVersionOf(wrapped(1, 7))).toBe(1);
    expect(keyVersionOf(Buffer.alloc(0))).toBe(1);
  });

  it.each([
    [1, 'CONFLICT'],
    [2, 'taken'],
    [3, 'taken'],
  ])('%i where the group is at 2: %s', (version, expected) => {
    const outcome = (() => {
      try {
        assertKeyInUse({ key_version: 2 }, wrapped(2, version));
        return 'taken';
      } catch (error) {
        return (error as AppError).reason;
      }
    })();
    expect(outcome).toBe(expected);
  });
});

describe('a writer who is overtaken', () => {
  const overtaken = (times: number) => {
    let tries = 0;
    return async (): Promise<number> => {
      if (++tries <= times) throw new Overtaken('somebody was faster');
      return tries;
    };
  };

  it('tries again, eight times in all, and then says so', async () => {
    expect(await untilInTime(overtaken(7))).toBe(8);
    await expect(untilInTime(overtaken(8))).rejects.toMatchObject({ reason: 'CONFLICT', message: expect.stringContaining('try again') });
  });

  it('does not try again what was refused for another reason', async () => {
    let tries = 0;
    const refused = async (): Promise<never> => {
      tries++;
      throw new AppError('CONFLICT', 'another change');
    };
    await expect(untilInTime(refused)).rejects.toMatchObject({ reason: 'CONFLICT' });
    expect(tries).toBe(1);
  });
});
