// Looks for values where they must not be: every file below a folder, in every form in which a value could have been written.
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Needle {
  what: string;
  bytes: Buffer;
}

/** Of base64 text that has the value somewhere in the middle: what is the same whatever stands before and after. */
const base64At = (value: Buffer, before: number): string => {
  const text = Buffer.concat([Buffer.alloc(before), value]).toString('base64');
  const from = Math.ceil((before * 8) / 6);
  return text.slice(from, Math.floor(((before + value.length) * 8) / 6));
};

/** A value in all its forms: as it is, base64 of both alphabets, hexadecimal, as JSON and PostgreSQL write it. */
export const needlesOf = (what: string, value: Buffer): Needle[] => {
  const base64 = [0, 1, 2].map((before) => base64At(value, before));
  const texts = [
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    value.toString('hex'),
    value.toString('hex').toUpperCase(),
    [...value].join(','),
  ];
  return [
    { what: `${what}, as it is`, bytes: value },
    ...[...new Set(texts)].map((text) => ({ what: `${what}, as ${text.slice(0, 4)}…`, bytes: Buffer.from(text, 'latin1') })),
  ];
};

const CHUNK = 32 * 1024 * 1024;

/** What of it is in these bytes. */
export const foundIn = (bytes: Buffer, needles: readonly Needle[]): string[] =>
  needles.filter((needle) => bytes.includes(needle.bytes)).map(({ what }) => what);

/** What of it is in this file; one that is gone meanwhile has nothing. */
const foundInFile = (file: string, needles: readonly Needle[]): string[] => {
  const longest = Math.max(...needles.map(({ bytes }) => bytes.length));
  const found = new Set<string>();
  const buffer = Buffer.alloc(CHUNK + longest);
  const fd = openSync(file, 'r');
  try {
    for (let at = 0; ; at += CHUNK) {
      const read = readSync(fd, buffer, 0, buffer.length, at);
      for (const what of foundIn(buffer.subarray(0, read), needles)) found.add(what);
      if (read < buffer.length) return [...found];
    }
  } finally {
    closeSync(fd);
  }
};

/** `file: what` for each find, below these folders and in these files. */
export const foundBelow = (places: readonly string[], needles: readonly Needle[]): string[] =>
  places.flatMap((place) => {
    const names = statSync(place).isDirectory()
      ? readdirSync(place, { recursive: true, encoding: 'utf8' }).map((name) => join(place, name))
      : [place];
    return names.flatMap((file) => {
      try {
        return statSync(file).isFile() ? foundInFile(file, needles).map((what) => `${file}: ${what}`) : [];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
  });
