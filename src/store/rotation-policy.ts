// How a secret is rotated: the policy as callers give it and see it, and the times that follow from it. Pure.
import { Generator, type Rotation } from '../gen/strongroom/secrets/v1/secret_types.ts';
import { AppError, invalid } from '../kernel/errors.ts';
import { checkSeconds, durationOf } from '../kernel/fields.ts';
import type { RotationPolicy, RotationRow } from './sql/rotations.ts';
import type { Recipe } from './types/type.ts';
import { parseGenerator, type TypeName } from './types/types.ts';

const MOST_SECONDS = 3_650 * 86_400;
const FIELD = 'secret.rotation';

/** Null: it is not rotated. */
export const checkRotation = (given: Rotation | undefined, type: TypeName, leastSeconds: number): RotationPolicy | null => {
  if (!given) return null;
  const { generator, interval } = given;
  if (!generator) throw invalid(`${FIELD}.generator`, 'is required');
  parseGenerator(type, generator, `${FIELD}.generator`);
  const { value } = generator;
  if (value?.$case === 'userCredentials' && value.value.username !== '')
    throw invalid(`${FIELD}.generator.user_credentials.username`, 'must be empty: the user stays in a rotation');
  const seconds = interval ? checkSeconds(interval, `${FIELD}.interval`, leastSeconds, MOST_SECONDS) : null;
  return { generator: Buffer.from(Generator.encode(generator).finish()), seconds };
};

/** What was stored was checked on its way in. */
export const recipeOf = (name: string, { type, generator }: Pick<RotationRow, 'generator'> & { type: TypeName }): Recipe => {
  if (generator) return parseGenerator(type, Generator.decode(generator), FIELD);
  throw new AppError('ROTATION_NOT_CONFIGURED', `${name} has no rotation; set it by UpdateSecret first, or add a version`, {
    metadata: { resource: name },
  });
};

/** In how many seconds the next one is due: up to a tenth sooner than the interval, so that what was made together spreads. */
export const dueIn = (seconds: number, random: number): number => seconds * (1 - random / 10);

/** After so many failures in a row: a minute, then twice as long each time, at most an hour. */
export const retryIn = (failures: number): number => Math.min(3_600, 60 * 2 ** Math.min(failures - 1, 6));

export const toRotation = (row: RotationRow): Rotation | undefined =>
  row.generator
    ? {
        interval: row.rotation_seconds === null ? undefined : durationOf(row.rotation_seconds),
        generator: Generator.decode(row.generator),
        nextRotationTime: row.next_rotation_time ?? undefined,
        lastRotationTime: row.last_rotation_time ?? undefined,
        failureCount: row.rotation_failures,
        lastError: row.rotation_error,
        retryTime: row.rotation_failures > 0 ? (row.rotation_look_time ?? undefined) : undefined,
      }
    : undefined;
