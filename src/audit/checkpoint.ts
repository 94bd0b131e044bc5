// Checkpoints (C2SP tlog-checkpoint) and receipts (C2SP tlog-proof): what an auditor's tool reads. Pure.
import { HASH_BYTES } from './merkle.ts';

export interface Checkpoint {
  origin: string;
  size: bigint;
  root: Buffer;
}

export const checkpointText = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${root.toString('base64')}\n`;

export const parseCheckpoint = (text: string): Checkpoint | undefined => {
  const [origin, size, root, ...rest] = text.split('\n');
  const bytes = Buffer.from(root ?? '', 'base64');
  if (!origin || !/^(0|[1-9]\d{0,18})$/.test(size ?? '') || bytes.length !== HASH_BYTES || bytes.toString('base64') !== root)
    return undefined;
  // Extension lines may follow, none of them empty.
  if (rest.at(-1) !== '' || rest.slice(0, -1).includes('')) return undefined;
  return { origin, size: BigInt(size ?? '0'), root: bytes };
};

const RECEIPT = 'c2sp.org/tlog-proof@v1';

export interface Receipt {
  index: bigint;
  hashes: Buffer[];
  /** The signed checkpoint. */
  note: string;
}

export const receiptText = ({ index, hashes, note }: Receipt): string =>
  `${RECEIPT}\nindex ${index}\n${hashes.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`;

export const parseReceipt = (text: string): Receipt | undefined => {
  const end = text.indexOf('\n\n');
  const [format, ...lines] = text.slice(0, end).split('\n');
  // Nobody vouches for what the line `extra` says.
  const [index = '', ...hashes] = lines[0]?.startsWith('extra ') ? lines.slice(1) : lines;
  if (end < 0 || format !== RECEIPT || !/^index (0|[1-9]\d{0,18})$/.test(index)) return undefined;
  const parsed = hashes.map((hash) => Buffer.from(hash, 'base64'));
  if (parsed.some((hash, i) => hash.length !== HASH_BYTES || hash.toString('base64') !== hashes[i])) return undefined;
  return { index: BigInt(index.slice('index '.length)), hashes: parsed, note: text.slice(end + 2) };
};
