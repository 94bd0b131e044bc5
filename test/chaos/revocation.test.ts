// The bound on revocation: what is disabled, deleted, expired, destroyed or no longer granted is of no use one second after, whatever
// happens to a replica meanwhile. STRONGROOM_CRASH=all makes two hundred of them; `make bench BENCH=revocation` shows the distribution.
import { expect, inject, it } from 'vitest';
import { revokeMany, type Revocation } from '../support/revocations.ts';

const COUNT = process.env['STRONGROOM_CRASH'] === 'all' ? 200 : 15;

it('nothing that was revoked is of use anywhere after a second', { timeout: 300_000 }, async () => {
  const all: Revocation[] = [];
  await revokeMany(inject('stack'), COUNT, (revocation) => all.push(revocation));
  expect(all).toHaveLength(COUNT);
  expect(all.filter(({ gap }) => gap >= 1_000)).toEqual([]);
  // Each was in use before.
  expect(all.filter(({ uses }) => uses < 20)).toEqual([]);
});
