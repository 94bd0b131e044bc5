// Medians over the rounds, as a table.
import { DISTURBED, IN_FLIGHT, othersOf, type Cell } from './measure.ts';
import { FLOOR, OPERATIONS, type Name } from './operations.ts';

/** A number for each round. */
type Figure = (cell: Cell) => number;

export interface Row {
  operation: Name;
  inFlight: number;
  /** Items a second, and how far the rounds are apart, as a share of the median. */
  rate: number;
  spread: number;
  /** Milliseconds of one call. */
  p50: number;
  p99: number;
  /** Microseconds for one item, by process; `all` is what counts for this operation. */
  cpu: Record<string, number>;
  /** `all` as a multiple of the floor's in the same round with as many in flight. */
  ratio: number;
  /** CPU of processes that are not ours, as a share of the machine. */
  others: number;
  errors: number;
  backlog: number;
}

const PROCESSES = ['store', 'keys', 'audit', 'worker', 'postgres', 'client'] as const;

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

const perItem =
  (...processes: readonly string[]): Figure =>
  (cell) =>
    processes.reduce((total, name) => total + (cell.cpu[name] ?? 0), 0) / cell.items;

/** The floor has a server of its own; what the others do meanwhile, which is next to nothing, is not its doing. */
const all = (operation: Name): Figure => (operation === FLOOR ? perItem('echo', 'client') : perItem(...PROCESSES));

const rate: Figure = ({ items, seconds }) => items / seconds;

export const rowsOf = (cells: readonly Cell[]): Row[] => {
  const floorOf = (cell: Cell): number => {
    const floor = cells.find((c) => c.operation === FLOOR && c.inFlight === cell.inFlight && c.round === cell.round);
    return floor ? all(FLOOR)(floor) : Number.NaN;
  };
  const names = [...new Set(cells.map(({ operation }) => operation))];
  return names.flatMap((operation) =>
    IN_FLIGHT.map((inFlight): Row => {
      const rounds = cells.filter((cell) => cell.operation === operation && cell.inFlight === inFlight);
      const of = (figure: Figure): number => median(rounds.map(figure));
      const rates = rounds.map(rate);
      const processes = operation === FLOOR ? ['echo', 'client'] : PROCESSES;
      return {
        operation,
        inFlight,
        rate: median(rates),
        spread: (Math.max(...rates) - Math.min(...rates)) / median(rates),
        p50: of(({ p50 }) => p50),
        p99: of(({ p99 }) => p99),
        cpu: { ...Object.fromEntries(processes.map((name) => [name, of(perItem(name))])), all: of(all(operation)) },
        ratio: of((cell) => all(operation)(cell) / floorOf(cell)),
        others: of(othersOf),
        errors: rounds.flatMap((cell) => Object.values(cell.errors)).reduce((a, b) => a + b, 0),
        backlog: Math.max(...rounds.map(({ backlog }) => backlog)),
      };
    }),
  );
};

const digits = (number: number): string => (number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(2));
const micros = (number: number | undefined): string => (number === undefined ? '' : number >= 10 ? number.toFixed(0) : number.toFixed(1));
const share = (number: number): string => `${(number * 100).toFixed(0)} %`;

const HEADER = ['operation', 'in flight', 'per s', 'spread', 'p50 ms', 'p99 ms', ...PROCESSES, 'all', '× floor', 'others'];

const lineOf = (row: Row): string[] => [
  OPERATIONS[row.operation],
  String(row.inFlight),
  row.rate.toFixed(0),
  share(row.spread),
  digits(row.p50),
  digits(row.p99),
  ...PROCESSES.map((name) => micros(row.cpu[name])),
  micros(row.cpu['all']),
  digits(row.ratio),
  share(row.others),
];

/** Markdown, and readable as it is. */
export const tableOf = (rows: readonly Row[]): string => {
  const lines = [HEADER, ...rows.map(lineOf)];
  const widths = HEADER.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const format = (line: readonly string[]): string =>
    `| ${line.map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => `${'-'.repeat(width + 1)}${column === 0 ? '-' : ':'}`).join('|')}|`;
  return [format(HEADER), rule, ...rows.map((row) => format(lineOf(row)))].join('\n');
};

export interface Memory {
  /** MiB at the end of the last load, and the most at the end of any. */
  end: number;
  most: number;
}

export const memoryOfAll = (cells: readonly Cell[]): Record<string, Memory> =>
  Object.fromEntries(
    Object.entries(cells.at(-1)?.memory ?? {}).map(([name, end]) => [
      name,
      { end, most: Math.max(...cells.map(({ memory }) => memory[name] ?? 0)) },
    ]),
  );

export const notesOf = (rows: readonly Row[], memory: Readonly<Record<string, Memory>>): string[] => {
  const floor = rows.filter(({ operation }) => operation === FLOOR);
  const client = Math.max(...rows.map(({ cpu, rate: each }) => ((cpu['client'] ?? 0) * each) / 1e6));
  const others = Math.max(...rows.map((row) => row.others));
  const failed = rows.filter(({ errors }) => errors > 0);
  const late = rows.filter(({ backlog }) => backlog > 0);
  return [
    'CPU in µs for one item, of user and kernel, by process; `all` and `× floor` include the client.',
    `The floor: ${floor.map(({ inFlight, cpu }) => `${micros(cpu['echo'])} µs server + ${micros(cpu['client'])} µs client with ${inFlight} in flight`).join(', ')}.`,
    `The load generator was at most ${share(client)} of a core.`,
    `Memory in MiB at the end (most): ${Object.entries(memory)
      .map(([name, { end, most }]) => `${name} ${end} (${most})`)
      .join(', ')}.`,
    ...(others > DISTURBED
      ? [`Other programs used up to ${share(others)} of the machine: absolute figures are too low, compare only the ratios.`]
      : []),
    ...failed.map(({ operation, inFlight, errors }) => `${OPERATIONS[operation]}, ${inFlight} in flight: ${errors} calls failed.`),
    ...late.map(
      ({ operation, inFlight, backlog }) =>
        `${OPERATIONS[operation]}, ${inFlight} in flight: up to ${backlog} audit events of changes were still to be shipped at the end.`,
    ),
  ];
};
