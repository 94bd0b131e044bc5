// Who has to have signed a checkpoint for it to count (C2SP tlog-policy). Pure.
import type { Verifier } from './note.ts';

export interface Witness {
  /** What the policy calls it; its key has a name of its own. */
  readonly name: string;
  readonly verifier: Verifier;
  /** Submission prefix (C2SP tlog-witness). */
  readonly url: string;
}

export interface Witnesses {
  readonly members: readonly Witness[];
  /** How many of them have to cosign. */
  readonly quorum: number;
}

export const NO_WITNESSES: Witnesses = { members: [], quorum: 0 };

/** The name of the group of all witnesses; none of them may have it. */
export const GROUP = 'witnesses';

export const policyText = (log: Verifier, { members, quorum }: Witnesses): string => {
  const names = members.map(({ name }) => name);
  const lines = [`log ${log.text}`, ...members.map(({ name, verifier }) => `witness ${name} ${verifier.text}`)];
  const rule = quorum === 0 ? ['quorum none'] : [`group ${GROUP} ${quorum} ${names.join(' ')}`, `quorum ${GROUP}`];
  return [...lines, ...rule, ''].join('\n');
};
