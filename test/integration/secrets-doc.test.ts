// What docs/secrets.md tells people to paste works as it stands, and shows what it says.
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks, type Ran } from '../support/documents.ts';

describe('docs/secrets.md', () => {
  let ran: Ran;
  let shown: string;
  beforeAll(() => {
    ran = runBlocks(inject('stack'), blocksOf('docs/secrets.md', '', '## Versions'));
    expect(ran.status, ran.stderr).toBe(0);
    shown = ran.stdout;
  }, 120_000);

  it('writes and reads key-value pairs and certificates', () => {
    expect(shown).toContain('"host": "mail.example"');
    expect(shown).toMatch(/"fingerprintSha256": "[0-9a-f]{64}"/);
  });

  it('generates credentials, and rotates them', () => {
    const passwords = [...shown.matchAll(/"password": "([a-km-np-z2-9]{24})"/g)].map((match) => match[1]);
    expect(passwords).toHaveLength(1);
    expect(shown.match(/"username": "orders"/g)).toHaveLength(2);
    expect(shown).toContain('"nextRotationTime"');
    expect(shown).toContain('"lastRotationTime"');
  });

  it('lets a secret expire, and moves and clears the time of others', () => {
    expect(ran.stderr).toMatch(/RESOURCE_EXPIRED|has expired|does not exist/);
    expect(ran.shown.at(-2)?.match(/"expireTime"/g)).toHaveLength(2);
  });
});
