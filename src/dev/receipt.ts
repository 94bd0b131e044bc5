// Verifies a receipt offline, as an auditor would: it needs the entry's bytes and the log's public key, and no service.
import { parseCheckpoint, parseReceipt } from '../audit/checkpoint.ts';
import { leafHash, rootFromInclusion } from '../audit/merkle.ts';
import { openNote, parseVerifier } from '../audit/note.ts';

export interface Verified {
  index: bigint;
  /** How many entries the log had at the checkpoint. */
  size: bigint;
}

/** Throws with what is wrong. */
export const verifyReceipt = (receipt: string, leaf: Buffer, verifierKey: string): Verified => {
  const parsed = parseReceipt(receipt);
  const verifier = parseVerifier(verifierKey);
  if (!parsed) throw new Error('the receipt is not a tlog-proof');
  if (!verifier) throw new Error('the verifier key is not a C2SP Ed25519 key');
  const text = openNote(parsed.note, verifier);
  if (text === undefined) throw new Error('the checkpoint in the receipt is not signed with this key');
  const checkpoint = parseCheckpoint(text);
  if (!checkpoint) throw new Error('the signed text in the receipt is not a checkpoint');
  const root = rootFromInclusion(parsed.index, checkpoint.size, leafHash(leaf), parsed.hashes);
  if (!root?.equals(checkpoint.root)) throw new Error('the entry is not in the tree that the checkpoint signs');
  return { index: parsed.index, size: checkpoint.size };
};
