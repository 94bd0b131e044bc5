// Checkpoints as they are given out. In every batch the log signs with Ed25519 only: ML-DSA-44 takes a millisecond, which nobody who
// appends is to wait for, so its signature is made when a checkpoint is asked for.
import { checkpointText } from './checkpoint.ts';
import type { Cosigner } from './cosignature.ts';
import type { Sized } from './merkle.ts';
import type { Signer, Verifier } from './note.ts';
import { NO_WITNESSES, policyText, type Witnesses } from './policy.ts';

export interface Signed extends Sized {
  /** The signed note. */
  readonly note: string;
}

export interface Publication {
  /** All keys that sign. */
  readonly verifiers: readonly Verifier[];
  /** C2SP tlog-policy. */
  readonly policy: string;
  /** The newest checkpoint with all signatures. */
  readonly newest: (checkpoint: Sized) => Signed;
  /** An earlier one: its signatures say nothing of time. */
  readonly earlier: (checkpoint: Sized) => Signed;
}

export const openPublication = (signer: Signer, second?: Cosigner, witnesses: Witnesses = NO_WITNESSES): Publication => {
  const origin = signer.verifier.name;
  const signed = ({ size, root }: Sized, time: bigint): Signed => {
    const checkpoint = { origin, size, root };
    return { size, root, note: signer.sign(checkpointText(checkpoint)) + (second?.line(checkpoint, time) ?? '') };
  };
  let last: Signed | undefined;
  return {
    verifiers: second ? [...signer.verifiers, second.verifier] : signer.verifiers,
    policy: policyText(signer.verifier, witnesses),
    newest: (checkpoint) => {
      if (last?.size !== checkpoint.size || !last.root.equals(checkpoint.root))
        last = signed(checkpoint, BigInt(Math.floor(Date.now() / 1000)));
      return last;
    },
    earlier: (checkpoint) => signed(checkpoint, 0n),
  };
};
