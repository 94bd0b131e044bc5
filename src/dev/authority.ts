// A certificate authority for development and tests: ECDSA P-256, made in memory, no more than X.509-SVIDs need.
// The library needs it and does not bring it.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { randomBytes, type webcrypto } from 'node:crypto';

const CURVE = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface Pair {
  /** PEM. */
  cert: string;
  /** PKCS #8, PEM. */
  key: string;
}

export interface Subject {
  commonName: string;
  /** URI names: one SPIFFE ID, or what a test wants to see refused. */
  uris?: readonly string[];
  dns?: readonly string[];
  ips?: readonly string[];
  usages?: readonly ('client' | 'server')[];
  days?: number;
}

const generate = () => crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
const pem = async (key: webcrypto.CryptoKey): Promise<string> => {
  const body = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${body.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`;
};
/** 127 random bits: positive in DER. */
const serialNumber = (): string => {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
};
/** A minute back, for clocks that differ a little. */
const validity = (days: number) => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + days * DAY_MS) });

export const createAuthority = async (commonName: string, days = 365): Promise<Pair> => {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${commonName}`,
    ...validity(days),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem')}\n`, key: await pem(keys.privateKey) };
};

export const issue = async (authority: Pair, subject: Subject): Promise<Pair> => {
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = await crypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(authority.key), CURVE, false, ['sign']);
  const keys = await generate();
  const { uris = [], dns = [], ips = [], usages = ['client', 'server'], days = 90 } = subject;
  const names: x509.JsonGeneralNames = [
    ...uris.map((value) => ({ type: 'url', value }) as const),
    ...dns.map((value) => ({ type: 'dns', value }) as const),
    ...ips.map((value) => ({ type: 'ip', value }) as const),
  ];
  const purposes = { client: x509.ExtendedKeyUsage.clientAuth, server: x509.ExtendedKeyUsage.serverAuth };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${subject.commonName}`,
    issuer: issuer.subject,
    ...validity(days),
    signingAlgorithm: SIGNATURE,
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
  return { cert: `${certificate.toString('pem')}\n`, key: await pem(keys.privateKey) };
};
