// A certificate authority for development and tests: ECDSA P-256, made in memory, no more than X.509-SVIDs need.

// The library needs it and does not bring it.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { webcrypto } from 'node:crypto';

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface Pair {
  /** PEM. */
  cert: string;
  /** PKCS #8, PEM. */
  key: string;
}

export interface Subject {
  /** PostgreSQL's role, where it logs in there. */
  commonName: string;
  /** One SPIFFE ID, for who calls or serves. */
  uris?: readonly string[];
  dns?: readonly string[];
  ips?: readonly string[];
  usages?: readonly ('client' | 'server')[];
  days?: number;
}

const generate = () => crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
const pair = async (certificate: x509.X509Certificate, key: webcrypto.CryptoKey): Promise<Pair> => ({
  cert: `${certificate.toString('pem')}\n`,
  key: `${x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`,
});
/** From a minute ago, for clocks that differ a little. */
const validity = (days: number) => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + days * DAY_MS) });

export const createAuthority = async (commonName: string): Promise<Pair> => {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${commonName}`,
    ...validity(365),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pair(certificate, keys.privateKey);
};

export const issue = async (authority: Pair, subject: Subject): Promise<Pair> => {
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = await crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(authority.key), CURVE, false, ['sign']);
  const keys = await generate();
  const { uris = [], dns = [], ips = [], usages = ['client', 'server'], days = 90 } = subject;
  const named = (type: 'url' | 'dns' | 'ip', values: readonly string[]) => values.map((value) => ({ type, value }));
  const names = [...named('url', uris), ...named('dns', dns), ...named('ip', ips)];
  const purposes = { client: x509.ExtendedKeyUsage.clientAuth, server: x509.ExtendedKeyUsage.serverAuth };
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${subject.commonName}`,
    issuer: issuer.subject,
    ...validity(days),
    signingAlgorithm,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => purposes[usage])),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return pair(certificate, keys.privateKey);
};
