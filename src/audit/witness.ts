// Asks the configured witnesses to cosign the newest checkpoint (C2SP tlog-witness), behind the commits: nobody who appends waits for it.
// A witness signs only what continues what it has signed before, so this is what shows a log with two histories.
import type { Db } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop, retrying, type Loop } from '../kernel/loop.ts';
import { metrics } from '../kernel/metrics.ts';
import { checkpointText } from './checkpoint.ts';
import { cosignedAt } from './cosignature.ts';
import { readNote } from './note.ts';
import type { Witness, Witnesses } from './policy.ts';
import { consistencyProof } from './proof.ts';
import type { Publication, Signed } from './publication.ts';
import { putCosigned } from './sql/cosigned.ts';
import { selectState } from './sql/log.ts';
import { post } from './witness-post.ts';
import type { Writer } from './writer.ts';

export interface WitnessOptions {
  readonly witnesses: Witnesses;
  readonly origin: string;
  readonly db: Db;
  readonly writer: Pick<Writer, 'current' | 'writes'>;
  readonly publication: Publication;
  readonly log: Log;
  /** Records that a witness knows another history of the log. */
  readonly alarm: (witness: string, what: string) => Promise<unknown>;
}

const EVERY_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** The first may tell the size that the witness is at; another process may have asked it meanwhile. */
const TRIES = 3;

interface Member extends Witness {
  /** The size that it has last cosigned, as far as is known. */
  size: bigint;
  pauseMs: number;
  /** By the monotonic clock. */
  dueAt: number;
  alarmed: boolean;
}

/** Its signature lines for one checkpoint. */
type Asked = { lines: string } | { conflict: string } | { failure: string };

export const openWitnesses = (options: WitnessOptions): Loop => {
  const { witnesses, origin, db, writer, publication, log, alarm } = options;
  const members = witnesses.members.map((witness): Member => ({ ...witness, size: 0n, pauseMs: EVERY_MS, dueAt: 0, alarmed: false }));
  let collected = { size: -1n, lines: new Map<string, string>() };

  const ask = async (member: Member, checkpoint: Signed, signal: AbortSignal): Promise<Asked> => {
    for (let tries = 0; tries < TRIES; tries++) {
      const state = await writer.current();
      const proof = await consistencyProof(db, state, member.size, checkpoint.size);
      const { status, body } = await post(member.url, { old: member.size, proof, note: checkpoint.note }, signal);
      if (status === 200) return linesOf(member, checkpoint, body);
      if (status === 422) return { conflict: `refuses to cosign size ${checkpoint.size} after size ${member.size}` };
      const told = status === 409 ? /^(0|[1-9]\d{0,18})\n$/.exec(body)?.[1] : undefined;
      if (told === undefined) return { failure: `answered with status ${status}` };
      member.size = BigInt(told);
      if (member.size <= checkpoint.size) continue;
      const { size } = await selectState(db.read);
      // Another process may have got further than this one.
      if (member.size <= size) return { failure: 'has a later checkpoint' };
      return { conflict: `has cosigned size ${member.size}, and the log has ${size} entries` };
    }
    return { failure: 'has told one size after another' };
  };

  const linesOf = ({ verifier }: Member, checkpoint: Signed, body: string): Asked => {
    const open = readNote(checkpoint.note + body, [verifier]);
    const lines = open?.verified.filter(({ signature }) => cosignedAt(signature) > 0n).map(({ line }) => line);
    const fits = open?.text === checkpointText({ origin, ...checkpoint });
    return fits && lines && lines.length > 0 ? { lines: lines.join('') } : { failure: 'gave no valid signature of its key' };
  };

  const handle = async (member: Member, checkpoint: Signed, asked: Asked): Promise<void> => {
    const resource = `witnesses/${member.name}`;
    if ('lines' in asked) {
      metrics.witnessRequests.inc({ result: 'cosigned' });
      if (member.alarmed) log.info({ resource }, 'the witness cosigns again');
      Object.assign(member, { size: checkpoint.size, pauseMs: EVERY_MS, alarmed: false });
      collected.lines.set(member.name, asked.lines);
      if (collected.lines.size < witnesses.quorum) return;
      await putCosigned(db.read, { ...checkpoint, note: checkpoint.note + [...collected.lines.values()].join('') });
      metrics.cosignedSize.set(Number(checkpoint.size));
      return;
    }
    member.dueAt = performance.now() + member.pauseMs;
    member.pauseMs = Math.min(member.pauseMs * 2, LONGEST_PAUSE_MS);
    metrics.witnessRequests.inc({ result: 'conflict' in asked ? 'conflict' : 'failed' });
    if ('failure' in asked) log.warn({ resource, error: asked.failure }, 'the witness did not cosign');
    else log.error({ resource, error: asked.conflict }, 'the witness knows another history of this log');
    if (!('conflict' in asked) || member.alarmed) return;
    await alarm(member.name, asked.conflict);
    member.alarmed = true;
  };

  const round = async (signal: AbortSignal): Promise<void> => {
    if (!(await writer.writes())) return;
    const checkpoint = publication.newest((await writer.current()).checkpoint);
    if (checkpoint.size === 0n) return;
    if (collected.size !== checkpoint.size) collected = { size: checkpoint.size, lines: new Map() };
    const due = members.filter(({ name, dueAt }) => dueAt <= performance.now() && !collected.lines.has(name));
    await Promise.all(
      due.map(async (member) => {
        const asked = await ask(member, checkpoint, signal).catch((error: unknown): Asked => ({ failure: describe(error) }));
        if (signal.aborted) return;
        await handle(member, checkpoint, asked).catch((error: unknown) =>
          log.warn({ resource: `witnesses/${member.name}`, error: describe(error) }, 'what a witness said could not be kept'),
        );
      }),
    );
  };

  const failure = { log, message: 'the witnesses could not be asked', retryMs: EVERY_MS };
  return openLoop(retrying((signal) => round(signal).then(() => EVERY_MS), failure));
};
