// The commands of docs/secrets.md about rights and limits, run as somebody would paste them.
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks, type Ran } from '../support/documents.ts';

describe('docs/secrets.md, rights and limits', () => {
  let ran: Ran;
  beforeAll(() => {
    const [beginning = ''] = blocksOf('docs/secrets.md');
    ran = runBlocks(inject('stack'), [beginning, ...blocksOf('docs/secrets.md', '## Who may do what', '## Clients')]);
    expect(ran.status, ran.stderr).toBe(0);
  }, 120_000);

  it('tells app who it is and what it may do, and app2 nothing', () => {
    expect(ran.shown[1]).toContain('"principal": "spiffe://strongroom.internal/app"');
    expect(ran.shown[1]).toContain('ROLE_WRITER');
    expect(ran.shown[1]).toMatch(/"actions": \[\s*"secrets.secret.create",\s*"secrets.version.access"\s*\]\s*\}\s*\{\s*\}\s*$/);
  });

  it('shows who can read the secret', () => {
    expect(ran.shown[2]).toMatch(/"readers"[^]*spiffe:\/\/strongroom.internal\/app"[^]*ROLE_SECRETS_READER/);
  });

  it('keeps app out while it is in none of the networks', () => {
    expect(ran.stderr).toContain('is not allowed from 127.0.0.1');
    expect(ran.shown[3]).not.toContain('s3cret');
  });

  it('shows limits and what is left, and refuses what is over them', () => {
    expect(ran.shown[4]).toMatch(
      /"name": "instance.secretsPerGroup",\s*"value": "1",\s*"used": "1",\s*"remaining": "0",\s*"overridden": true/,
    );
    expect(ran.stderr).toContain('would be over instance.secretsPerGroup, which is 1');
  });
});
