// A rotation that dies at every one of its durable steps, before and after it: the next start ends it, nothing is lost,
// and nothing is left of what was to be destroyed.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Db } from '../../src/kernel/db.ts';
import { advance } from '../../src/keys/epochs.ts';
import { openKeyFiles, type KeyFiles } from '../../src/keys/key-files.ts';
import { newKeyDatabase, type KeyDatabase } from '../support/key-service.ts';

/** Everything that outlives the process goes through these; from the chosen moment on, nothing does any more. */
const dying = (db: Db, files: KeyFiles, at: number) => {
  const life = { moments: 0, dead: false };
  const die = (): never => {
    life.dead = true;
    throw new Error('killed');
  };
  const moment = (): void => {
    if (life.dead || life.moments++ === at) die();
  };
  const around = async <T>(work: () => Promise<T>): Promise<T> => {
    moment();
    const result = await work();
    moment();
    return result;
  };
  const dyingDb: Db = {
    ...db,
    // On this connection a statement commits by itself.
    read: {
      query: (statement) =>
        /^\s*(insert|update)/i.test(statement.text) ? around(() => db.read.query(statement)) : db.read.query(statement),
    },
    transaction: (work) =>
      around(() =>
        db.transaction(async (tx) => {
          const result = await work(tx);
          moment();
          return result;
        }),
      ),
  };
  const dyingFiles: KeyFiles = {
    ...files,
    write: (id, key) => around(() => files.write(id, key)),
    destroy: (id) => around(() => files.destroy(id)),
  };
  return { db: dyingDb, files: dyingFiles, life };
};

const isDue = (database: KeyDatabase): Promise<unknown> =>
  database.scratch.sql(`update master_keys set create_time = now() - interval '2 days' where state = 'CURRENT'`);
const SCHEDULE = { rotateEveryMs: 86_400_000, keepForMs: 0 };

/** Steps until the rotation is over; false if it died. */
const survives = async (database: KeyDatabase, at: number): Promise<{ died: boolean; moments: number }> => {
  const [db, files] = [database.scratch.open(), openKeyFiles(database.dir)];
  const { life, ...parts } = dying(db, files, at);
  try {
    // The relay ships by itself, and would die by itself.
    const replica = await database.open({ ...SCHEDULE, db, files });
    const options = { ...replica.options, files: parts.files, keys: { ...replica.options.keys, db: parts.db } };
    for (let i = 0; i < 3; i++) await advance(options, () => false);
  } catch (error) {
    if (!life.dead) throw error;
  }
  return { died: life.dead, moments: life.moments };
};

describe('a rotation that is killed', () => {
  it('at any of its moments is ended by the next start', { timeout: 300_000 }, async () => {
    let at = 0;
    for (; ; at++) {
      await using database = await newKeyDatabase();
      const first = await database.open(SCHEDULE);
      const rootKeys = [await first.newRootKey(), await first.newRootKey()];
      const sealed = await Promise.all([...rootKeys, ...rootKeys].map((rootKey) => first.newScope(rootKey)));
      const old = await first.options.masterKeys.current();
      await isDue(database);
      const { died } = await survives(database, at);
      const next = await database.open(SCHEDULE);
      for (const one of sealed) expect(await next.opens(one), `killed at ${at}, before the end`).toBe(true);
      sealed.push(await next.newScope(rootKeys[0]!));
      for (let i = 0; i < 3; i++) await advance(next.options, () => false);
      sealed.push(await next.newScope(await next.newRootKey()));

      const id = await next.options.masterKeys.current();
      expect(id, `killed at ${at}`).not.toBe(old);
      expect(readdirSync(database.dir), `killed at ${at}`).toEqual([`${id}.key`]);
      const rows = await database.scratch.sql<{ id: string; state: string }>(
        `select id, state from master_keys where state <> 'DESTROYED'`,
      );
      expect(rows, `killed at ${at}`).toEqual([{ id, state: 'CURRENT' }]);
      const after = await database.open(SCHEDULE);
      for (const one of sealed) expect(await after.opens(one), `killed at ${at}`).toBe(true);
      await after.keys.relay.flush();
      const count = (action: string) =>
        new Set(database.told.filter((event) => event.action === action).map((event) => event.eventId)).size;
      expect([count('keys.masterkey.destroy') >= 1, count('keys.rootkey.rotate')], `killed at ${at}`).toEqual([true, 2]);
      if (!died) break;
    }
    // As many as there are: a step more or less would not go unnoticed.
    expect(at).toBeGreaterThan(15);
  });

  it('while its file was being written leaves nothing behind', async () => {
    await using database = await newKeyDatabase();
    const first = await database.open(SCHEDULE);
    const id = 'abcdefabcdefabcd';
    await database.scratch.sql(`insert into master_keys (id, state) values ($1, 'NEW')`, [id]);
    writeFileSync(join(database.dir, `${id}.key.new`), Buffer.alloc(7), { mode: 0o600 });
    await advance(first.options, () => false);
    await advance(first.options, () => false);
    expect(readdirSync(database.dir)).toEqual([`${await first.options.masterKeys.current()}.key`]);
  });

  it('in the very first start makes one key in the next', async () => {
    for (let at = 0; ; at++) {
      await using database = await newKeyDatabase();
      const { db, files, life } = dying(database.scratch.open(), openKeyFiles(database.dir), at);
      await database.open({ db, files }).catch(() => undefined);
      const next = await database.open();
      expect(await next.opens(await next.newScope(await next.newRootKey())), `killed at ${at}`).toBe(true);
      expect(readdirSync(database.dir), `killed at ${at}`).toEqual([`${await next.options.masterKeys.current()}.key`]);
      if (!life.dead) break;
      expect(at).toBeLessThan(20);
    }
  });
});
