// What a restored stack does with what was purged: which services start, what reads answer, which keys live, what the worker
// sweeps, and whether the receipts' entries are still in the log.
import { setTimeout as sleep } from 'node:timers/promises';
import { startServices } from '../parts.ts';
import { connect } from '../provision.ts';
import type { Stack } from '../stack.ts';
import { openCallers, type Callers, type Proved } from './callers.ts';
import { ITEM_IDS, type Item, type ItemId } from './items.ts';
import { tryMasterKeys, type Trial } from './trial.ts';

export interface Observed {
  /** What a read answers, if all versions answer the same; else all answers. */
  read: string;
  key: string;
  /** Secrets and versions in the store. */
  rows: number;
}

export interface Observation {
  /** Before any service began. */
  trial: Trial;
  refusals: string[];
  items: Record<ItemId, Observed>;
  /** What the worker ended after the start. */
  swept: string[];
  /** Rows in the store before the worker began, and after. */
  rowsBefore: number;
  rowsAfter: number;
  logSize: string;
  /** Receipts whose entry is at its index. */
  entriesThere: number;
}

const SWEEP_MS = 40_000;

const inStore = async <Row extends object>(stack: Stack, text: string, values: unknown[] = []): Promise<Row[]> => {
  const client = await connect(stack, 'store', 'owner');
  try {
    return (await client.query<Row & Record<string, unknown>>(text, values)).rows;
  } finally {
    await client.end();
  }
};

export const countRows = async (stack: Stack, secretUids?: readonly string[]): Promise<number> => {
  const text = `select (select count(*) from secrets where $1::uuid[] is null or secret_uid = any($1))::int
    + (select count(*) from secret_versions where $1::uuid[] is null or secret_uid = any($1))::int as count`;
  return (await inStore<{ count: number }>(stack, text, [secretUids ?? null]))[0]?.count ?? 0;
};

const openPurges = (stack: Stack) =>
  inStore<{ resource: string; last_error: string }>(
    stack,
    `select resource, last_error from purges where state <> 'DONE' order by resource`,
  );

/** Waits until the worker has nothing left to purge, or says of all of it why it cannot; answers what it has purged. */
const sweep = async (stack: Stack, before: readonly { resource: string }[], isHindered: boolean): Promise<string[]> => {
  const isOver = async (): Promise<boolean> => (await openPurges(stack)).every(({ last_error: error }) => isHindered && error !== '');
  for (const end = Date.now() + SWEEP_MS; Date.now() < end && !(await isOver()); await sleep(200));
  const left = new Set((await openPurges(stack)).map(({ resource }) => resource));
  return before.map(({ resource }) => resource).filter((resource) => !left.has(resource));
};

/** Without a number in what changes from call to call. */
const readAll = async (callers: Callers, item: Item): Promise<string> => {
  const answers = new Set<string>();
  for (const { name, value } of item.versions) answers.add(await callers.read(name, value));
  return [...answers].join(', ');
};

export const observe = async (stack: Stack, items: Readonly<Record<ItemId, Item>>, proofs: readonly Proved[]): Promise<Observation> => {
  const [trial, rowsBefore, waiting] = [await tryMasterKeys(stack), await countRows(stack), await openPurges(stack)];
  const refusals = await startServices(stack);
  const swept = await sweep(stack, waiting, refusals.length > 0);
  await using callers = openCallers(stack);
  const observed = {} as Record<ItemId, Observed>;
  for (const id of ITEM_IDS) {
    const item = items[id];
    const uids = item.secrets.map(({ uid }) => uid);
    observed[id] = { read: await readAll(callers, item), key: await callers.scopeKey(item.group.uid), rows: await countRows(stack, uids) };
  }
  const found = await Promise.all(
    proofs.map(async ({ purge, leaf }) => {
      const there = await callers.entryAt(purge.auditIndex ?? -1n);
      return there instanceof Buffer && there.equals(leaf);
    }),
  );
  return {
    trial,
    refusals,
    items: observed,
    swept,
    rowsBefore,
    rowsAfter: await countRows(stack),
    logSize: String(await callers.logSize()),
    entriesThere: found.filter(Boolean).length,
  };
};
