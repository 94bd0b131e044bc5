// The README's tour, run as somebody would paste it.
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks, type Ran } from '../support/documents.ts';

describe('the tour in the README', () => {
  let ran: Ran;
  beforeAll(() => {
    ran = runBlocks(inject('stack'), blocksOf('README.md', '## A tour with grpcurl', '## Honest limits'));
    expect(ran.status, ran.stderr).toBe(0);
  }, 120_000);

  it('lists the services, and describes one', () => {
    expect(ran.shown[1]).toContain('strongroom.secrets.v1.InstanceService');
    expect(ran.shown[1]).toContain('AccessSecretVersion');
  });

  it('makes an instance, a group and bindings', () => {
    expect(ran.shown[2]).toContain('keyRings/provider/keys/');
    expect(ran.shown[2]).toContain('ROLE_SECRETS_READER');
  });

  it('reads the old and the new version', () => {
    const values = [...(ran.shown[3] ?? '').matchAll(/"text": "([^"]+)"/g)].map((match) => match[1]);
    expect(values).toEqual(['correct horse', 'correct horse', 'battery staple']);
  });

  it('refuses app2, and says why', () => {
    expect(ran.stderr).toMatch(/PERMISSION_?DENIED|permission_denied/i);
  });

  it('shows the entries, the refusal too, and a receipt', () => {
    expect(ran.shown[5]).toContain('DENIED');
    expect(ran.shown[5]).toContain('c2sp.org/tlog-proof@v1');
  });

  it('shows the purge, done', () => {
    expect(ran.shown[6]).toContain('"state": "DELETED"');
    expect(ran.shown[6]).toContain('"state": "DONE"');
    expect(ran.shown[6]).toContain('"secretsRemovedCount": "1"');
  });
});
