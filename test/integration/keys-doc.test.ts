// What docs/keys.md tells the owner of a root key to paste works as it stands, and shows what it says.
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks, type Ran } from '../support/documents.ts';

describe('a customer’s key, from its making to its end, in docs/keys.md', () => {
  let ran: Ran;
  beforeAll(() => {
    ran = runBlocks(inject('stack'), blocksOf('docs/keys.md'));
    expect(ran.status, ran.stderr).toBe(0);
  }, 120_000);

  it('makes a key ring, a key with a policy, and a grant', () => {
    expect(ran.shown[1]).toContain('"nextRotationTime"');
    expect(ran.shown[1]).toMatch(/^grants\/[0-9a-f-]{36}$/m);
  });

  it('reads a secret under it', () => {
    expect(ran.shown[2]).toContain('correct horse');
  });

  it('rotates it, and destroys the old version', () => {
    expect(ran.shown[3]).toContain('"state": "DONE"');
    expect(ran.shown[3]).toContain('"state": "DESTROYED"');
  });

  it('is refused while the key is disabled, and without the grant', () => {
    expect(ran.stderr).toMatch(/KEY_DISABLED|is disabled/);
    expect(ran.stderr).toMatch(/KEY_NOT_GRANTED|no grant/);
  });

  it('deletes it by force only', () => {
    expect(ran.stderr).toMatch(/KEY_IN_USE|protects \d+ scopes/);
    expect(ran.shown[5]).toContain('"state": "DESTROY_SCHEDULED"');
  });
});
