// One byte of each kind of file of an exported log, flipped and put back.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const filesBelow = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
        entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
      )
    : [];

/** A file of each kind that is there. Partial ones of an earlier size are left out: nothing of the newest checkpoint needs them. */
export const kindsIn = (folder: string, size: bigint): Record<string, string> => {
  const levels = readdirSync(join(folder, 'tile')).filter((name) => /^\d+$/.test(name));
  const tiles = (level: string) => filesBelow(join(folder, 'tile', level));
  const width = (file: string) => /\.p\/(\d+)$/.exec(file)?.[1];
  const isCurrent = (level: string, file: string) => width(file) === String((size / 256n ** BigInt(level)) % 256n);
  const kinds = {
    checkpoint: join(folder, 'checkpoint'),
    'tile of level 0': tiles('0').find((file) => width(file) === undefined),
    'tile of a higher level': levels
      .filter((level) => level !== '0')
      .flatMap((level) => tiles(level).filter((file) => width(file) === undefined || isCurrent(level, file)))
      .at(0),
    'partial tile': tiles('0').find((file) => isCurrent('0', file)),
    bundle: tiles('entries').find((file) => width(file) === undefined || isCurrent('0', file)),
  };
  return Object.fromEntries(Object.entries(kinds).filter((kind): kind is [string, string] => kind[1] !== undefined));
};

/** In its second half, within what is signed in the case of a checkpoint: its root. */
export const withFlipped = <T>(file: string, look: () => T): T => {
  const before = readFileSync(file);
  const text = before.toString('latin1');
  const at = file.endsWith('/checkpoint') ? text.indexOf('\n', text.indexOf('\n') + 1) + 5 : before.length - 5;
  const after = Buffer.from(before);
  after[at]! ^= 1;
  writeFileSync(file, after);
  try {
    return look();
  } finally {
    writeFileSync(file, before);
  }
};
