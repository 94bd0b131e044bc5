// What docs/secrets.md tells people to paste about versions works as it stands, and shows what it says.
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks, type Ran } from '../support/documents.ts';

const FILE = 'docs/secrets.md';

describe('docs/secrets.md about versions', () => {
  let ran: Ran;
  beforeAll(() => {
    const [setup = ''] = blocksOf(FILE);
    const parts = [
      ['## Versions', '## Writes'],
      ['## Writes', '## How many'],
      ['## How many', '## Locks'],
      ['## Locks', undefined],
    ] as const;
    ran = runBlocks(inject('stack'), [setup, ...parts.flatMap(([from, to]) => blocksOf(FILE, from, to))]);
    expect(ran.status, ran.stderr).toBe(0);
  }, 120_000);
  const texts = (block: number) => [...ran.shown[block]!.matchAll(/"text": "([^"]+)"/g)].map((match) => match[1]);

  it('moves an alias, and goes back to an old value', () => {
    expect(texts(1)).toEqual(['one', 'two']);
    expect(ran.shown[1]).toMatch(/"aliases": \[\s*"latest",\s*"stable"\s*\]/);
    expect(ran.shown[2]).toContain('"copiedFromVersion": 1');
    expect(texts(2)).toEqual(['one']);
  });

  it('refuses a write that follows another version, and leaves one out that changes nothing', () => {
    expect(ran.stderr).toContain('has changed since its etag was read');
    expect(ran.shown[3]!.match(/versions\/3"/g)).toHaveLength(1);
  });

  it('keeps two versions of three', () => {
    expect(ran.shown[4]!.match(/"state": "DESTROYED"/g)).toHaveLength(1);
  });

  it('locks a version, and lets nobody be left behind twice', () => {
    expect(ran.stderr).toContain('is locked by');
    expect(ran.stderr).toContain('gets no new version while');
    expect(ran.shown[6]).toContain('"deletedCount": 1');
  });
});
