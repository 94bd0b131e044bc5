// A master key in shares: enough of them bring it back, and nothing else does. The commands run as an operator runs them.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { combine } from 'shamir-secret-sharing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ROOT } from '../../src/dev/stack.ts';
import { masterKeyId } from '../../src/keys/key-files.ts';
import { assertComplete, formatShare, parseShare, type Share } from '../../src/keys/shares.ts';

const root = mkdtempSync(join(tmpdir(), 'strongroom-shares-'));
afterAll(() => rmSync(root, { recursive: true }));
const key = randomBytes(32);
const id = masterKeyId(key);
const [folder, shares] = [join(root, 'master-keys'), join(root, 'shares')];

/** Runs the command; it never prints a key or a share, whatever happens. */
const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'src/main.ts'), 'master-key', ...args], { encoding: 'utf8' });
  for (const form of ['hex', 'base64', 'latin1'] as const) expect(`${stdout}${stderr}`).not.toContain(key.toString(form));
  expect(`${stdout}${stderr}`).not.toMatch(/data=|[0-9a-f]{40}/);
  return { status, told: stdout || stderr };
};
const split = (out: string, n = '5', k = '3') => run('split', folder, id, '--shares', n, '--threshold', k, '--out', out);
const filesIn = (dir: string) => readdirSync(dir).sort();
const newFolder = (name: string): string => {
  mkdirSync(join(root, name), { mode: 0o700 });
  return join(root, name);
};
let made = 0;
/** A folder with these of the shares. */
const some = (...numbers: number[]): string => {
  const dir = newFolder(`some-${made++}`);
  for (const number of numbers) cpSync(join(shares, `${id}-${number}-of-5.share`), join(dir, `${number}.share`));
  return dir;
};

beforeAll(() => {
  newFolder('master-keys');
  writeFileSync(join(folder, `${id}.key`), key, { mode: 0o600 });
  expect(split(shares)).toMatchObject({ status: 0, told: expect.stringContaining(`5 shares of master key ${id}`) });
});

describe('the split of a master key', () => {
  it('makes as many shares as asked for, each a line of text that only its owner can read', () => {
    expect(filesIn(shares)).toEqual([1, 2, 3, 4, 5].map((number) => `${id}-${number}-of-5.share`));
    expect(statSync(shares).mode & 0o777).toBe(0o700);
    for (const [i, name] of filesIn(shares).entries()) {
      expect(statSync(join(shares, name)).mode & 0o777).toBe(0o600);
      const line = readFileSync(join(shares, name), 'latin1');
      expect(line).toMatch(/^[^\n]+\n$/);
      expect(parseShare(line)).toMatchObject({ key: id, share: i + 1, threshold: 3, shares: 5 });
      expect(line).not.toContain(key.toString('hex'));
    }
    expect(new Set(filesIn(shares).map((name) => parseShare(readFileSync(join(shares, name), 'latin1')).set)).size).toBe(1);
  });

  it.each([
    ['a threshold of one', ['split', folder, id, '--shares', '3', '--threshold', '1', '--out', 'x'], /--threshold/],
    ['a threshold over the number of shares', ['split', folder, id, '--shares', '3', '--threshold', '4', '--out', 'x'], /--threshold/],
    ['256 shares', ['split', folder, id, '--shares', '256', '--threshold', '2', '--out', 'x'], /--shares/],
    ['no number of shares', ['split', folder, id, '--threshold', '2', '--out', 'x'], /--shares/],
    ['no folder for them', ['split', folder, id, '--shares', '3', '--threshold', '2'], /usage/],
    ['a key that is not there', ['split', folder, '0'.repeat(16), '--shares', '3', '--threshold', '2', '--out', 'x'], /0{16}\.key/],
    ['an id that is none', ['split', folder, '../x', '--shares', '3', '--threshold', '2', '--out', 'x'], /16 hexadecimal digits/],
    ['a folder that is not empty', ['split', folder, id, '--shares', '3', '--threshold', '2', '--out', folder], /not empty/],
    ['an option that there is not', ['split', folder, id, '--force'], /--force/],
    ['no command', [], /usage/],
  ])('is refused with %s', (_, args, message) => {
    expect(run(...args)).toMatchObject({ status: 1, told: expect.stringMatching(message) });
    expect(filesIn(folder)).toEqual([`${id}.key`]);
  });
});

describe('shares put together', () => {
  let target: string;
  beforeEach(() => {
    target = newFolder(`target-${made++}`);
  });
  const refuses = (dir: string, message: RegExp): void => {
    expect(run('combine', dir, target)).toMatchObject({ status: 1, told: expect.stringMatching(message) });
    expect(filesIn(target)).toEqual([]);
  };

  it.each([[[1, 2, 3]], [[5, 1, 3]], [[2, 4, 5]], [[1, 2, 3, 4, 5]]])(
    '%j of five bring back the key, as the service wants its file',
    (numbers) => {
      expect(run('combine', some(...numbers), target)).toMatchObject({ status: 0, told: expect.stringContaining(id) });
      expect(filesIn(target)).toEqual([`${id}.key`]);
      expect(readFileSync(join(target, `${id}.key`))).toEqual(key);
      expect(statSync(join(target, `${id}.key`)).mode & 0o777).toBe(0o600);
      // Once more changes nothing.
      expect(run('combine', some(...numbers), target)).toMatchObject({ status: 0, told: expect.stringContaining('already') });
    },
  );

  it('are refused when they are too few, or there are none', () => {
    refuses(some(1, 2), /3 of 5 shares are needed, and 2 are there/);
    refuses(some(), /no share/);
  });

  it('are refused when one is of another split of the same key, or of another key', () => {
    const again = join(root, `again-${made++}`);
    split(again);
    const mixed = some(1, 2);
    cpSync(join(again, `${id}-3-of-5.share`), join(mixed, '3.share'));
    refuses(mixed, /two splits/);
  });

  it('are refused when one is there twice, in place of a third', () => {
    const dir = some(1, 2);
    cpSync(join(dir, '2.share'), join(dir, '3.share'));
    refuses(dir, /twice/);
  });

  it('are refused when one is damaged, and say which', () => {
    const dir = some(1, 2, 3);
    const file = join(dir, '2.share');
    const line = readFileSync(file, 'latin1');
    const at = line.indexOf('data=') + 10;
    writeFileSync(file, `${line.slice(0, at)}${line[at] === '0' ? '1' : '0'}${line.slice(at + 1)}`);
    refuses(dir, /2\.share is damaged/);
    writeFileSync(file, line.slice(0, -5));
    refuses(dir, /2\.share is no share/);
  });

  it('are refused when one was changed together with its checksum', () => {
    const dir = some(1, 2, 3);
    const share = parseShare(readFileSync(join(dir, '2.share'), 'latin1'));
    share.data[7]! ^= 1;
    writeFileSync(join(dir, '2.share'), formatShare(share));
    refuses(dir, /is not master key/);
  });

  it('are refused as symbolic links, when others can read them, and beside something else', () => {
    const linked = some(1, 2);
    symlinkSync(join(shares, `${id}-3-of-5.share`), join(linked, '3.share'));
    refuses(linked, /3\.share/);
    const folderLink = join(root, `link-${made++}`);
    symlinkSync(some(1, 2, 3), folderLink);
    refuses(folderLink, /symbolic link/);
    const open = some(1, 2, 3);
    chmodSync(join(open, '1.share'), 0o640);
    refuses(open, /chmod 600/);
    const littered = some(1, 2, 3);
    writeFileSync(join(littered, 'notes.txt'), 'x', { mode: 0o600 });
    refuses(littered, /notes\.txt is no share/);
  });

  it('do not go into a folder that others can use, or through a link to one', () => {
    const open = newFolder(`open-${made++}`);
    chmodSync(open, 0o755);
    expect(run('combine', some(1, 2, 3), open)).toMatchObject({ status: 1, told: expect.stringMatching(/chmod 700/) });
    renameSync(target, `${target}-away`);
    symlinkSync(`${target}-away`, target);
    expect(run('combine', some(1, 2, 3), target)).toMatchObject({ status: 1, told: expect.stringMatching(/symbolic link/) });
  });
});

describe('the line of a share', () => {
  const share: Share = { key: id, set: '00000001', share: 1, threshold: 2, shares: 3, data: Buffer.alloc(33, 5) };

  it('comes back as it was, and in no other form', () => {
    const line = formatShare(share);
    expect(parseShare(line)).toEqual(share);
    for (const other of ['', line.toUpperCase(), ` ${line}`, `${line}\n`, line.replace('v1', 'v2'), line.replace(' ', '  ')])
      expect(() => parseShare(other), other).toThrow();
    for (let i = 0; i < line.length - 1; i++) {
      const code = line.charCodeAt(i) ^ 1;
      expect(() => parseShare(line.slice(0, i) + String.fromCharCode(code) + line.slice(i + 1)), `character ${i}`).toThrow();
    }
  });

  it('says of itself how many are needed', () => {
    expect(() => assertComplete([share])).toThrow('2 of 3 shares are needed, and 1 are there');
    expect(() => assertComplete([share, { ...share, share: 2 }])).not.toThrow();
  });
});

describe('the library that splits', () => {
  it('puts together what another one has split: the test case of draft-mcgrew-tss-03, section 9', async () => {
    // There the point stands before the values, here behind them.
    const [one, two] = ['b9fa07e18501', 'f5409b451102'].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')));
    expect(Buffer.from(await combine([one!, two!])).toString('hex')).toBe('7465737400');
  });
});
