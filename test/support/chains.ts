// Certificates as secrets have them: a leaf, who issued it, and the root above, each with its key. No TLS is spoken with them.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';
import { BasicConstraintsExtension, PemConverter, X509CertificateGenerator } from '@peculiar/x509';
import { webcrypto } from 'node:crypto';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

export interface Chain {
  readonly leaf: string;
  readonly intermediate: string;
  readonly root: string;
  /** Of the leaf. */
  readonly key: string;
  readonly otherKey: string;
  readonly notAfter: Date;
}

/** PEM, each with a line feed at the end. A certificate has whole seconds. */
export const newChain = async ({ notAfter = new Date(Date.now() + 30 * DAY_MS) } = {}): Promise<Chain> => {
  const newKeys = () => webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const [rootKeys, middleKeys, leafKeys, others] = await Promise.all([newKeys(), newKeys(), newKeys(), newKeys()]);
  const certificate = async (
    subject: string,
    publicKey: webcrypto.CryptoKey,
    issuer: string,
    signingKey: webcrypto.CryptoKey,
    ca: boolean,
  ) => {
    const made = await X509CertificateGenerator.create({
      subject,
      issuer,
      publicKey,
      signingKey,
      signingAlgorithm: ECDSA,
      notBefore: new Date(notAfter.getTime() - 60 * DAY_MS),
      notAfter,
      extensions: [new BasicConstraintsExtension(ca)],
    });
    return `${made.toString('pem')}\n`;
  };
  const keyOf = async (key: webcrypto.CryptoKey) =>
    `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
  return {
    leaf: await certificate('CN=leaf.example', leafKeys.publicKey, 'CN=Intermediate', middleKeys.privateKey, false),
    intermediate: await certificate('CN=Intermediate', middleKeys.publicKey, 'CN=Root', rootKeys.privateKey, true),
    root: await certificate('CN=Root', rootKeys.publicKey, 'CN=Root', rootKeys.privateKey, true),
    key: await keyOf(leafKeys.privateKey),
    otherKey: await keyOf(others.privateKey),
    notAfter: new Date(Math.floor(notAfter.getTime() / 1_000) * 1_000),
  };
};
