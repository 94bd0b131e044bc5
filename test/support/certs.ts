// A certificate authority for tests: good certificates, and every kind of bad one.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
  type JsonGeneralName,
  type X509Certificate,
} from '@peculiar/x509';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsFiles } from '../../src/kernel/tls.ts';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

export interface Issued {
  cert: string;
  key: string;
  parsed: X509Certificate;
}

export interface IssueOptions {
  /** SPIFFE IDs, or what should have been one. */
  uris?: readonly string[];
  /** Further names, as they are. */
  names?: readonly JsonGeneralName[];
  /** Makes it a CA certificate. */
  ca?: boolean;
  notBefore?: Date;
  notAfter?: Date;
}

export interface Authority {
  cert: string;
  issue(options: IssueOptions): Promise<Issued>;
  crl(revoked: readonly Issued[]): Promise<string>;
}

const newKeys = () => webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
const keyPem = async (key: webcrypto.CryptoKey): Promise<string> => {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
};

export const newAuthority = async (name = 'Test CA'): Promise<Authority> => {
  const keys = await newKeys();
  const issuer = `CN=${name}`;
  let serial = 1;
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: issuer,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: ECDSA,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });

  const issue = async ({ uris = [], names = [], ca = false, notBefore, notAfter }: IssueOptions): Promise<Issued> => {
    const own = await newKeys();
    const san: JsonGeneralName[] = [...uris.map((value) => ({ type: 'url' as const, value })), ...names];
    const parsed = await X509CertificateGenerator.create({
      serialNumber: (++serial).toString(16).padStart(2, '0'),
      issuer,
      subject: 'CN=test',
      notBefore: notBefore ?? new Date(Date.now() - DAY_MS),
      notAfter: notAfter ?? new Date(Date.now() + DAY_MS),
      signingAlgorithm: ECDSA,
      signingKey: keys.privateKey,
      publicKey: own.publicKey,
      extensions: [
        new BasicConstraintsExtension(ca, undefined, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
        ...(san.length > 0 ? [new SubjectAlternativeNameExtension(san)] : []),
      ],
    });
    return { cert: parsed.toString('pem'), key: await keyPem(own.privateKey), parsed };
  };

  const crl = async (revoked: readonly Issued[]): Promise<string> => {
    const list = await X509CrlGenerator.create({
      issuer,
      thisUpdate: new Date(Date.now() - DAY_MS),
      nextUpdate: new Date(Date.now() + DAY_MS),
      entries: revoked.map(({ parsed }) => ({ serialNumber: parsed.serialNumber, revocationDate: new Date() })),
      signingAlgorithm: ECDSA,
      signingKey: keys.privateKey,
    });
    // OpenSSL knows it under this label only.
    return list.toString('pem').replaceAll(' CRL-', ' X509 CRL-');
  };

  return { cert: root.toString('pem'), issue, crl };
};

/** Writes an identity as the files of a configuration. */
export const writeTlsFiles = (folder: string, authority: Authority, issued: Issued, name = 'tls'): TlsFiles => {
  const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`), caFile: join(folder, 'ca.crt') };
  writeFileSync(files.certFile, issued.cert);
  writeFileSync(files.keyFile, issued.key, { mode: 0o600 });
  writeFileSync(files.caFile, authority.cert);
  return files;
};
