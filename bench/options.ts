// The command line of the bench.
import { parseArgs } from 'node:util';
import { FLOOR, NAMES, type Name } from './operations.ts';

export interface Options {
  /** Of each measurement. */
  seconds: number;
  rounds: number;
  /** Seconds that each measurement may wait for others to be done with the machine. */
  patience: number;
  /** The floor is always among them. */
  operations: readonly Name[];
  /** Profile this one, instead of measuring. */
  profile: Name | undefined;
}

const USAGE = `usage: node bench/main.ts [--seconds 4] [--rounds 3] [--patience 0] [--only ${NAMES.slice(1).join(',')}] [--profile reads]`;

const parseNumber = (text: string, least: number): number => {
  const number = Number(text);
  if (!(number >= least)) throw new Error(`${text} is not a number of ${least} or more; ${USAGE}`);
  return number;
};

const parseName = (text: string): Name => {
  const name = NAMES.find((known) => known === text);
  if (!name) throw new Error(`there is no operation ${text}; ${USAGE}`);
  return name;
};

export const parseOptions = (args: string[]): Options => {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '3' },
      patience: { type: 'string', default: '0' },
      only: { type: 'string' },
      profile: { type: 'string' },
    },
  });
  const only = values.only?.split(',').map(parseName);
  return {
    seconds: parseNumber(values.seconds, 0.5),
    rounds: Math.floor(parseNumber(values.rounds, 1)),
    patience: parseNumber(values.patience, 0),
    operations: NAMES.filter((name) => name === FLOOR || (only ?? NAMES).includes(name)),
    profile: values.profile === undefined ? undefined : parseName(values.profile),
  };
};
