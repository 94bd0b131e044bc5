// A writer of the audit log in a process of its own, so that it can be killed and stopped. It reads one job from its standard
// input, appends events until it has done as many as the job says, or for ever, and tells what became of each.
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { draftOf, type Draft } from '../../src/audit/event.ts';
import { openSigner } from '../../src/audit/note.ts';
import { openOutside } from '../../src/audit/outside.ts';
import { openWriter } from '../../src/audit/writer.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { DatabaseConfig } from '../../src/kernel/config.ts';
import { openServiceDb, type Db } from '../../src/kernel/db.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { newUid } from '../../src/kernel/uid.ts';

export interface Job {
  database: DatabaseConfig;
  /** Appended first: what became of them is not known. */
  again: readonly string[];
  /** When it dies, and of which batch. Without it, it does not. */
  death?: { step: 'before' | 'during' | 'after'; batch: number; afterMs: number };
}

/** One line for each event: it is about to be sent, it has an index, it was refused. */
export type Line = ['sent', eventId: string] | ['index', eventId: string, index: string] | ['refused', eventId: string, reason: string];

const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
const signer = openSigner('test.example/log', Buffer.alloc(32, 3));
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const say = (line: Line): void => void writeSync(1, `${JSON.stringify(line)}\n`);
const die = (): void => void process.kill(process.pid, 'SIGKILL');

/** The same event whoever sends it. */
const draftWith = (eventId: string): Draft =>
  draftOf(
    Event.fromPartial({ eventId, occurTime: new Date(0), action: 'secrets.secret.read', principal: source, resource: eventId, outcome: 1 }),
    source,
  );

const dying = (db: Db, { step, batch, afterMs }: NonNullable<Job['death']>): Db => {
  let batches = 0;
  const query: Db['read']['query'] = async (statement) => {
    if (statement.name !== 'audit.appendBatch' || ++batches < batch) return db.read.query(statement);
    if (step === 'before') die();
    const answer = db.read.query(statement);
    if (step === 'during') setTimeout(die, afterMs);
    const rows = await answer;
    if (step === 'after') die();
    return rows as never;
  };
  return { ...db, read: { query } };
};

// It is kept at the end otherwise, which does not come.
flushCompileCache();
const [line] = (await once(createInterface({ input: process.stdin }), 'line')) as [string];
const { database, again, death } = JSON.parse(line) as Job;
const db = openServiceDb(database, silent);
const outside = openOutside([], signer.verifiers, silent);
const writer = await openWriter({ db: death ? dying(db, death) : db, signer, log: silent, outside });

const append = async (ids: readonly string[]): Promise<void> => {
  for (const id of ids) say(['sent', id]);
  try {
    const results = await writer.append(ids.map(draftWith), Date.now() + 10_000);
    results.forEach((result, i) =>
      say(typeof result === 'bigint' ? ['index', ids[i]!, String(result)] : ['refused', ids[i]!, result.reason]),
    );
  } catch (error) {
    for (const id of ids) say(['refused', id, error instanceof AppError ? error.reason : 'UNKNOWN']);
    await sleep(20);
  }
};
if (again.length > 0) await append(again);
// Several requests at once, of one and of many events.
for (;;) await Promise.all([1, 2, 40].map((size) => append(Array.from({ length: size }, newUid))));
