// Which version of a group's key a wrapped data key is of, and what is done with one that is too old to be kept. Pure.
import { AppError } from '../kernel/errors.ts';

/** Format 0x01 is of the first version; format 0x02 says it (docs/formats.md). */
export const keyVersionOf = (wrappedDek: Buffer): number => (wrappedDek[0] === 2 && wrappedDek.length > 5 ? wrappedDek.readUInt32BE(1) : 1);

/** What was made before the transaction does not fit any more what the transaction finds. */
export class Overtaken extends AppError {
  constructor(by: string) {
    super('CONFLICT', `${by} at the same time; try again`);
  }
}

/** Throws if the group's key was replaced since the payload was sealed: the old key is about to be destroyed. */
export const assertKeyInUse = (group: { key_version: number }, wrappedDek: Buffer): void => {
  if (keyVersionOf(wrappedDek) < group.key_version) throw new Overtaken('the key of the group was replaced');
};

const TRIES = 8;

/** Again from the beginning, as long as others are faster. */
export const untilInTime = async <T>(attempt: () => Promise<T>): Promise<T> => {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Overtaken) || tries === TRIES) throw error;
    }
  }
};
