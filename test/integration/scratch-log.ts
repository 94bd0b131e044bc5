// An audit log on a database of its own, and its writers.
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { inject } from 'vitest';
import type { Audit } from '../../src/audit/audit.ts';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import { draftOf, type Draft } from '../../src/audit/event.ts';
import { append as appendLeaf, EMPTY, leafHash, rootOf, type Tree } from '../../src/audit/merkle.ts';
import { openSigner, type Signer } from '../../src/audit/note.ts';
import { openOutside } from '../../src/audit/outside.ts';
import { openPublication } from '../../src/audit/publication.ts';
import { extend } from '../../src/audit/tiles.ts';
import { openWriter, type Writer } from '../../src/audit/writer.ts';
import { ROOT } from '../../src/dev/stack.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Db } from '../../src/kernel/db.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import type { Log } from '../../src/kernel/log.ts';
import { pageTokens } from '../../src/kernel/page.ts';
import { WHOLE_LOG } from '../support/audit-reader.ts';
import { scratchDatabase, silentLog, type Scratch } from './scratch.ts';

export const MIGRATIONS = join(ROOT, 'src/audit/migrations');
export const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
export const signer = openSigner('test.example/log', Buffer.alloc(32, 3));
/** The newest checkpoint, whoever has cosigned it. */
export const NEWEST = { treeSize: 0n, cosigned: false };
export const soon = () => Date.now() + 20_000;

export const event = (change: Partial<Event> = {}): Event =>
  Event.fromPartial({
    eventId: uuidv7(),
    occurTime: new Date(),
    action: 'secrets.secret.read',
    principal: 'spiffe://strongroom.internal/app',
    resource: 'instances/i',
    outcome: 1,
    ...change,
  });
export const draft = (change: Partial<Event> = {}): Draft => draftOf(event(change), source);
export const drafts = (count: number): Draft[] => Array.from({ length: count }, () => draft());

/** One event, as its own request. */
export const append = async (writer: Writer, one = draft(), deadline = soon()): Promise<bigint> => {
  const [result] = await writer.append([one], deadline);
  if (typeof result !== 'bigint') throw result ?? new Error('no result');
  return result;
};

export interface ScratchLog extends AsyncDisposable {
  readonly scratch: Scratch;
  readonly db: Db;
  /** The one that was opened last, at first the one that writes. */
  readonly writer: Writer;
  /** One more, beside those that are there. */
  open(options?: { db?: Db; files?: readonly string[]; log?: Log }): Promise<Writer>;
  /** Stops the writer, and opens another one. */
  restart(): Promise<Writer>;
  auditOf(writer: Writer): Audit;
  readonly audit: Audit;
  /** Answers the size. */
  grow(entries: number, resource?: string): Promise<bigint>;
  count(table: 'entries' | 'checkpoints' | 'tiles'): Promise<number>;
}

/** With partitions of so many entries, if that is said. */
export const newLog = async (entries = 0, rangeSize?: number): Promise<ScratchLog> => {
  const scratch = await scratchDatabase(inject('stack'), MIGRATIONS);
  if (rangeSize !== undefined) await scratch.sql('update keeping set range_size = $1', [rangeSize]);
  const db = scratch.open();
  const stack = new AsyncDisposableStack();
  const open: ScratchLog['open'] = async ({ db: own = scratch.open(), files = [], log = silentLog } = {}) => {
    const outside = stack.use(openOutside(files, signer.verifiers, log));
    return stack.use(await openWriter({ db: own, signer, log, outside }));
  };
  let writer = await open();
  const grow = async (count: number, resource = 'instances/i'): Promise<bigint> => {
    for (let left = count; left > 0; left -= 1_000)
      await writer.append(
        Array.from({ length: Math.min(left, 1_000) }, () => draft({ resource })),
        soon(),
      );
    return (await writer.current()).checkpoint.size;
  };
  await grow(entries);
  const auditOf = (one: Writer): Audit => ({
    db,
    writer: one,
    verifier: signer.verifier,
    publication: openPublication(signer),
    pages: pageTokens(Buffer.alloc(32)),
    ...WHOLE_LOG,
  });
  return {
    scratch,
    db,
    get writer() {
      return writer;
    },
    open,
    restart: async () => {
      await writer[Symbol.asyncDispose]();
      return (writer = await open());
    },
    auditOf,
    audit: auditOf(writer),
    grow,
    count: async (table) => Number((await scratch.sql<{ n: string }>(`select count(*)::text as n from ${table}`))[0]?.n),
    [Symbol.asyncDispose]: async () => {
      await stack[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
};

/** Another event in the place of one, with every hash that hangs on it; the newest checkpoint too, if who does it has the key. */
export const forge = async ({ scratch }: Pick<ScratchLog, 'scratch'>, index: number, key?: Signer): Promise<void> => {
  const leaves = (await scratch.sql<{ leaf: Buffer }>('select leaf from entries order by index')).map((row) => row.leaf);
  leaves[index] = Buffer.from(leaves[index]!.toString().replace('"instances/', '"instances/not-'));
  const hashes = leaves.map(leafHash);
  const tree = hashes.reduce<Tree>(appendLeaf, EMPTY);
  const root = rootOf(tree);
  await scratch.sql('update entries set leaf = $2, leaf_hash = $3 where index = $1', [index, leaves[index], hashes[index]]);
  for (const { level, tile, hashes: full } of extend([], hashes).full)
    await scratch.sql('update tiles set hashes = $3 where level = $1 and tile = $2', [level, tile, full]);
  await scratch.sql('update log_state set frontier = $1', [Buffer.concat(tree.frontier)]);
  const text = checkpointText({ origin: signer.verifier.name, size: tree.size, root });
  const [old] = await scratch.sql<{ note: string }>('select note from checkpoints where size = $1', [tree.size]);
  const note = key ? key.sign(text) : `${text}${old!.note.slice(old!.note.lastIndexOf('\n\n') + 1)}`;
  await scratch.sql('update checkpoints set root = $2, note = $3 where size = $1', [tree.size, root, note]);
};
