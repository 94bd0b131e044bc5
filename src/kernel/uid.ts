// New UUIDs, version 7 (RFC 9562), for every call and entry: with randomness that is drawn from the system by the page.
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const BYTES = 16;
const page = Buffer.alloc(256 * BYTES);
let at = page.length;

export const newUid = (): string => {
  if (at === page.length) {
    randomFillSync(page);
    at = 0;
  }
  return v7({ random: page.subarray(at, (at += BYTES)) });
};
