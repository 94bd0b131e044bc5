// Shares of a master key as lines of text, for its recovery. Pure.
//
// Share: `strongroom-share-v1 key=<id> set=<8 hex> share=<number> threshold=<k> shares=<n> data=<66 hex> crc32c=<8 hex>`. The data is
// Shamir's scheme over GF(256), byte by byte: 32 values of polynomials of degree k-1 and the point, 1 to 255, that they are at.
// All shares of one split have the same set. The checksum is that of the text before it.
import { crc32c } from '@node-rs/crc32';

export const MAX_SHARES = 255;
const LINE =
  /^(strongroom-share-v1 key=([0-9a-f]{16}) set=([0-9a-f]{8}) share=([1-9]\d{0,2}) threshold=([1-9]\d{0,2}) shares=([1-9]\d{0,2}) data=([0-9a-f]{66})) crc32c=([0-9a-f]{8})\n?$/;

export interface Share {
  /** Id of the master key. */
  readonly key: string;
  /** Of the split. */
  readonly set: string;
  /** 1 to `shares`. */
  readonly share: number;
  readonly threshold: number;
  readonly shares: number;
  readonly data: Buffer;
}

const sum = (text: string): string => (crc32c(text) >>> 0).toString(16).padStart(8, '0');

export const formatShare = ({ key, set, share, threshold, shares, data }: Share): string => {
  const fields = `key=${key} set=${set} share=${share} threshold=${threshold} shares=${shares} data=${data.toString('hex')}`;
  const text = `strongroom-share-v1 ${fields}`;
  return `${text} crc32c=${sum(text)}\n`;
};

/** Throws what is wrong, as the end of a sentence that begins with the file's name. */
export const parseShare = (line: string): Share => {
  const [, text = '', key = '', set = '', share, threshold, shares, data = '', checksum] = LINE.exec(line) ?? [];
  if (text === '') throw new Error('is no share, or not one that this program can read');
  if (sum(text) !== checksum) throw new Error('is damaged: its checksum is another one');
  return { key, set, share: Number(share), threshold: Number(threshold), shares: Number(shares), data: Buffer.from(data, 'hex') };
};

/** Throws if these are not enough shares of one split. */
export const assertComplete = (shares: readonly Share[]): void => {
  const [first] = shares;
  if (!first) throw new Error('there is no share');
  const other = shares.find(({ key, set, threshold, shares: n }) =>
    [key !== first.key, set !== first.set, threshold !== first.threshold, n !== first.shares].includes(true),
  );
  if (other)
    throw new Error(`these are shares of two splits: set ${first.set} of key ${first.key}, and set ${other.set} of key ${other.key}`);
  if (new Set(shares.map(({ share }) => share)).size < shares.length) throw new Error('one share is there twice');
  if (shares.length < first.threshold)
    throw new Error(`${first.threshold} of ${first.shares} shares are needed, and ${shares.length} are there`);
};
