// SPIFFE identities (SPIFFE-ID and X509-SVID standards): parsing, and the one check that TLS leaves to us.
import { X509Certificate } from 'node:crypto';
import { AppError } from './errors.ts';

declare const spiffeId: unique symbol;
/** `spiffe://{trust domain}/{path}`, checked. */
export type SpiffeId = string & { readonly [spiffeId]: true };

const ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+)$/;

export const parseSpiffeId = (text: string): SpiffeId | undefined =>
  text.length <= 2048 && ID.test(text) ? (text as SpiffeId) : undefined;

export const trustDomainOf = (id: SpiffeId): string => ID.exec(id)?.[1] ?? '';

const refuse = (why: string): AppError =>
  new AppError('IDENTITY_INVALID', `the client certificate is not an X.509-SVID for this service: ${why}`);

/** The identity in a verified peer certificate: exactly one URI SAN, ours, on a leaf. Done once per connection. */
export const identityOf = (certificate: X509Certificate | undefined, trustDomain: string): SpiffeId | AppError => {
  if (!certificate) return refuse('there is none');
  if (certificate.ca) return refuse('it is a CA certificate');
  // Node writes a comma inside a name as \u002c, so that no name can pass for two.
  const uris = (certificate.subjectAltName ?? '').split(', ').filter((san) => san.startsWith('URI:'));
  if (uris.length !== 1) return refuse(`it has ${uris.length} URI names, and exactly one is needed`);
  const id = parseSpiffeId(uris[0]!.slice('URI:'.length));
  if (!id) return refuse('its URI name is not a SPIFFE ID');
  if (trustDomainOf(id) !== trustDomain) return refuse('it belongs to another trust domain');
  return id;
};

/** Who this process is, by its own certificate; one that is no identity of the trust domain refuses the start. */
export const ownIdentity = (certificate: Buffer, trustDomain: string): SpiffeId => {
  const id = identityOf(new X509Certificate(certificate), trustDomain);
  if (id instanceof AppError) throw id;
  return id;
};
