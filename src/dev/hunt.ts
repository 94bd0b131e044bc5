// Looks for bytes where they must not be: in files and below folders, in every form in which they could have been written.
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Needle {
  /** What it is, or what it is one of. */
  readonly what: string;
  readonly forms: readonly Buffer[];
}

export interface Find {
  readonly needle: Needle;
  readonly file: string;
}

/** Of base64 text that has the value somewhere in the middle: what is the same whatever stands before and after. */
const base64At = (value: Buffer, before: number): string => {
  const text = Buffer.concat([Buffer.alloc(before), value]).toString('base64');
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + value.length) * 8) / 6));
};

/** As it is, hexadecimal, base64 of both alphabets at each offset, decimal as in JSON; UTF-16 of all these texts. */
export const formsOf = (value: Buffer): Buffer[] => {
  const base64 = [0, 1, 2].map((before) => base64At(value, before));
  const texts = new Set([
    value.toString('hex'),
    value.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    [...value].join(','),
  ]);
  return [value, ...[...texts].flatMap((text) => [Buffer.from(text, 'latin1'), Buffer.from(text, 'utf16le')])];
};

/** Which of the needles are in these bytes. */
export const findIn = (bytes: Buffer, needles: readonly Needle[]): Needle[] =>
  needles.filter(({ forms }) => forms.some((form) => bytes.includes(form)));

const CHUNK = 32 * 1024 * 1024;

/** A server that runs may remove files meanwhile; those have nothing. */
const unlessGone = <T>(work: () => T, otherwise: T): T => {
  try {
    return work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return otherwise;
  }
};

const filesBelow = (place: string): string[] => {
  const stat = statSync(place, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat ? [place] : [];
  return readdirSync(place, { recursive: true, encoding: 'utf8' })
    .map((name) => join(place, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
};

/** Which of the needles are below these places, once for each file. */
export const find = (places: readonly string[], needles: readonly Needle[]): Find[] => {
  const overlap = Math.max(...needles.flatMap(({ forms }) => forms.map(({ length }) => length)));
  const buffer = Buffer.alloc(CHUNK + overlap);
  const search = (file: string): Find[] => {
    const found = new Set<Needle>();
    const descriptor = openSync(file, 'r');
    try {
      for (let at = 0; ; at += CHUNK) {
        const bytes = buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, at));
        const left = needles.filter((needle) => !found.has(needle));
        for (const needle of findIn(bytes, left)) found.add(needle);
        if (bytes.length < buffer.length) return [...found].map((needle) => ({ needle, file }));
      }
    } finally {
      closeSync(descriptor);
    }
  };
  return places.flatMap(filesBelow).flatMap((file) => unlessGone(() => search(file), []));
};
