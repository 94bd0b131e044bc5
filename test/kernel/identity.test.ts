import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../src/kernel/errors.ts';
import { identityOf, parseSpiffeId, trustDomainOf } from '../../src/kernel/identity.ts';
import { newAuthority, type Authority, type IssueOptions } from '../support/certs.ts';

describe('a SPIFFE ID', () => {
  it.each(['spiffe://strongroom.internal/app', 'spiffe://a/b/c/d', 'spiffe://t_1.x-y/A.b-c_d/...'])('may be %s', (id) => {
    expect(parseSpiffeId(id)).toBe(id);
  });

  it('belongs to the trust domain in it', () => {
    expect(trustDomainOf(parseSpiffeId('spiffe://strongroom.internal/service/store')!)).toBe('strongroom.internal');
  });

  it.each([
    ['empty', ''],
    ['without a path', 'spiffe://strongroom.internal'],
    ['with the root path', 'spiffe://strongroom.internal/'],
    ['with a trailing slash', 'spiffe://strongroom.internal/app/'],
    ['with an empty segment', 'spiffe://strongroom.internal//app'],
    ['with a dot segment', 'spiffe://strongroom.internal/./app'],
    ['with a double-dot segment', 'spiffe://strongroom.internal/app/..'],
    ['with a percent escape', 'spiffe://strongroom.internal/%61pp'],
    ['with an upper-case trust domain', 'spiffe://Strongroom.internal/app'],
    ['with an upper-case scheme', 'SPIFFE://strongroom.internal/app'],
    ['with another scheme', 'https://strongroom.internal/app'],
    ['with a port', 'spiffe://strongroom.internal:443/app'],
    ['with a user', 'spiffe://user@strongroom.internal/app'],
    ['with a query', 'spiffe://strongroom.internal/app?x=1'],
    ['with a fragment', 'spiffe://strongroom.internal/app#x'],
    ['with a space', 'spiffe://strongroom.internal/a pp'],
    ['with a line feed at its end', 'spiffe://strongroom.internal/app\n'],
    ['with a letter beyond ASCII', 'spiffe://strongroom.internal/äpp'],
  ])('is none %s', (_, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it('has at most 2048 bytes', () => {
    const longest = `spiffe://t/${'a'.repeat(2_037)}`;
    expect(parseSpiffeId(longest)).toBe(longest);
    expect(parseSpiffeId(`${longest}a`)).toBeUndefined();
  });
});

describe('the identity in a certificate', () => {
  let authority: Authority;
  beforeAll(async () => {
    authority = await newAuthority();
  });
  const identity = async (options: IssueOptions) =>
    identityOf(new X509Certificate((await authority.issue(options)).cert), 'strongroom.internal');
  const APP = 'spiffe://strongroom.internal/app';

  it('is its one URI name, whatever other kinds of name stand beside it', async () => {
    expect(await identity({ uris: [APP] })).toBe(APP);
    const names = [
      { type: 'dns', value: 'app.example' },
      { type: 'ip', value: '10.0.0.1' },
      { type: 'email', value: 'a@b.example' },
    ] as const;
    expect(await identity({ uris: [APP], names })).toBe(APP);
  });

  it.each<[string, IssueOptions, RegExp]>([
    ['two URI names, the first one good', { uris: [APP, 'spiffe://strongroom.internal/operator'] }, /2 URI names/],
    ['the same URI name twice', { uris: [APP, APP] }, /2 URI names/],
    ['a URI name of another scheme beside it', { uris: [APP, 'https://strongroom.internal/'] }, /2 URI names/],
    ['no name at all', {}, /0 URI names/],
    ['only a DNS name', { names: [{ type: 'dns', value: 'app.example' }] }, /0 URI names/],
    ['a DNS name that reads like a list with a URI in it', { names: [{ type: 'dns', value: `x, URI:${APP}, y` }] }, /0 URI names/],
    ['a DNS name that reads like a URI', { names: [{ type: 'dns', value: `URI:${APP}` }] }, /0 URI names/],
    ['an e-mail name with quotes and a URI in it', { names: [{ type: 'email', value: `a"b, URI:${APP}` }] }, /0 URI names/],
    ['a directory name with a URI in it', { names: [{ type: 'dn', value: `CN=x\\, URI:${APP}` }] }, /0 URI names/],
    ['one URI name that reads like two', { uris: [`${APP}, URI:spiffe://strongroom.internal/operator`] }, /not a SPIFFE ID/],
    ['a URI name with a quote', { uris: [`${APP}"`] }, /not a SPIFFE ID/],
    ['another trust domain', { uris: ['spiffe://elsewhere.example/app'] }, /another trust domain/],
    ['a trust domain that begins the same', { uris: ['spiffe://strongroom.internal.evil/app'] }, /another trust domain/],
    ['a percent escape', { uris: ['spiffe://strongroom.internal/%61pp'] }, /not a SPIFFE ID/],
    ['a CA certificate', { uris: [APP], ca: true }, /CA certificate/],
  ])('is refused with %s', async (_, options, why) => {
    const refused = await identity(options);
    expect(refused).toBeInstanceOf(AppError);
    expect(refused).toMatchObject({ reason: 'IDENTITY_INVALID', code: 'UNAUTHENTICATED', message: expect.stringMatching(why) as string });
  });

  it('is refused without a certificate', () => {
    expect(identityOf(undefined, 'strongroom.internal')).toMatchObject({ reason: 'IDENTITY_INVALID' });
  });
});
