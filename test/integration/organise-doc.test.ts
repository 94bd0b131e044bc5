// The commands of docs/secrets.md about how secrets are organised, run as somebody would paste them.
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks, type Ran } from '../support/documents.ts';

describe('docs/secrets.md, from many at once to use', () => {
  let ran: Ran;
  beforeAll(() => {
    const [beginning = ''] = blocksOf('docs/secrets.md');
    ran = runBlocks(inject('stack'), [beginning, ...blocksOf('docs/secrets.md', '## Many at once')]);
    expect(ran.status, ran.stderr).toBe(0);
  }, 120_000);

  it('answers many at once, in order, with an error for the one that is not there', () => {
    expect(ran.shown[1]).toMatch(/value of two[^]*NOT_FOUND[^]*value of one/);
  });

  it('does not send again what the caller has', () => {
    expect(ran.shown[2]).toContain('"notModified": true');
    expect(ran.shown[2]).not.toContain('value of one');
  });

  it('tells of the rotation', () => {
    expect(ran.shown[3]).toMatch(/"type": "ROTATED",\s*"name": "[^"]*\/secrets\/one"/);
  });

  it('has the moved secret in its new group, which app may not read, and nothing under the old name', () => {
    expect(ran.shown[4]).toMatch(/groups\/other\/secrets\/two/);
    expect(ran.stderr).toContain('secrets/two does not exist');
  });

  it('lists what the filter finds, the newest first', () => {
    expect(ran.shown[5]).toMatch(/"secrets": \[[^]*\/secrets\/web"[^]*"env": "prod"[^]*\/secrets\/one"/);
  });

  it('tells how much the secret is used', () => {
    expect(ran.shown[6]).toMatch(/"usage": \{[^}]*"versionCount": "2"/);
  });
});
