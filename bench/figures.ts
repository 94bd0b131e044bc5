// What every bench does with its figures: says them, sums them up, keeps them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

export const RESULTS = join(import.meta.dirname, 'results');

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** The one at this place of them, sorted. */
export const percentile = (numbers: readonly number[], share: number): number =>
  numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))] ?? Number.NaN;

/** The nearest rank (NIST), of numbers that are sorted. */
export const nearestRank = (sorted: readonly number[], share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;

export const median = (numbers: readonly number[]): number => percentile(numbers, 0.5);

/** Answers the file, as one would name it here. */
export const saveResult = (bench: string, figures: object): string => {
  mkdirSync(RESULTS, { recursive: true });
  const date = new Date().toISOString();
  const file = join(RESULTS, `${bench === '' ? '' : `${bench}-`}${date.slice(0, 19).replaceAll(':', '')}.json`);
  writeFileSync(file, `${JSON.stringify({ date, ...figures }, undefined, 1)}\n`);
  return relative('', file);
};
