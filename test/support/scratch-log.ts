// A log of its own on a database of its own, without a service around it.
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import type { Audit } from '../../src/audit/audit.ts';
import { draftOf } from '../../src/audit/event.ts';
import { openSigner } from '../../src/audit/note.ts';
import { openOutside } from '../../src/audit/outside.ts';
import { openPublication } from '../../src/audit/publication.ts';
import { openWriter, type Writer } from '../../src/audit/writer.ts';
import { ROOT, type Stack } from '../../src/dev/stack.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Db } from '../../src/kernel/db.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { pageTokens } from '../../src/kernel/page.ts';
import { WHOLE_LOG } from './audit-reader.ts';
import { scratchDatabase, silentLog, type Scratch } from '../integration/scratch.ts';

const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
export const signer = openSigner('test.example/log', Buffer.alloc(32, 3));

export interface ScratchLog extends AsyncDisposable {
  readonly scratch: Scratch;
  readonly db: Db;
  readonly writer: Writer;
  readonly audit: Audit;
  /** Answers the size. */
  grow(entries: number, resource?: string): Promise<bigint>;
}

export const openScratchLog = async (stack: Stack, entries = 0): Promise<ScratchLog> => {
  const scratch = await scratchDatabase(stack, join(ROOT, 'src/audit/migrations'));
  const db = scratch.open();
  const writer = await openWriter({ db, signer, log: silentLog, outside: openOutside([], signer.verifiers, silentLog) });
  const grow = async (count: number, resource = 'instances/i'): Promise<bigint> => {
    const event = () =>
      Event.fromPartial({
        eventId: uuidv7(),
        occurTime: new Date(),
        action: 'secrets.secret.read',
        principal: 'spiffe://strongroom.internal/app',
        resource,
        outcome: 1,
      });
    for (let left = count; left > 0; left -= 1_000)
      await writer.append(
        Array.from({ length: Math.min(left, 1_000) }, () => draftOf(event(), source)),
        Date.now() + 20_000,
      );
    return (await writer.current()).checkpoint.size;
  };
  await grow(entries);
  return {
    scratch,
    db,
    writer,
    audit: {
      db,
      writer,
      verifier: signer.verifier,
      publication: openPublication(signer),
      pages: pageTokens(Buffer.alloc(32)),
      ...WHOLE_LOG,
    },
    grow,
    [Symbol.asyncDispose]: async () => {
      await writer[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
};
