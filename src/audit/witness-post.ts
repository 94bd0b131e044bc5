// One request of C2SP tlog-witness: a checkpoint, and the proof that it continues the one that the witness has.
const TIMEOUT_MS = 5_000;
/** Some lines of signatures, each of at most 3.3 KB. */
const MAX_REPLY_BYTES = 64 * 1024;

export interface AddCheckpoint {
  old: bigint;
  proof: readonly Buffer[];
  note: string;
}

export const addCheckpointText = ({ old, proof, note }: AddCheckpoint): string =>
  `old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`;

const readBounded = async (reply: Response): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of reply.body ?? []) {
    length += chunk.length;
    if (length > MAX_REPLY_BYTES) throw new Error('its answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

export const post = async (url: string, request: AddCheckpoint, signal: AbortSignal): Promise<{ status: number; body: string }> => {
  const reply = await fetch(`${url}/add-checkpoint`, {
    method: 'POST',
    body: addCheckpointText(request),
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
  });
  return { status: reply.status, body: await readBounded(reply) };
};
