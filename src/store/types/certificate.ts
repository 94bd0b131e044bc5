// CERTIFICATE: a chain of certificates, the leaf first, and the leaf's private key; checked to belong together.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { CertificateBundle, type CertificateDetails } from '../../gen/strongroom/secrets/v1/secret_types.ts';
import type { Violation } from '../../kernel/errors.ts';
import { assertNone, canonicalBytes, textsOf, type Details, type SecretType } from './type.ts';

const MOST_CERTIFICATES = 10;
const MOST_NAME_CHARACTERS = 1_024;
const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;
const CHAIN = 'payload.certificate.certificate_chain';
const KEY = 'payload.certificate.private_key';

/** Undefined where it is none. */
const attempt = <T>(parse: () => T): T | undefined => {
  try {
    return parse();
  } catch {
    return undefined;
  }
};

/** The certificates; or what is wrong with them, which says where and never what. */
const parseChain = (text: string): X509Certificate[] | string => {
  if (text === '') return 'is required';
  const blocks = text.match(PEM) ?? [];
  if (blocks.length === 0 || text.replace(PEM, '').trim() !== '') return 'must be PEM certificates and nothing else';
  if (blocks.length > MOST_CERTIFICATES) return `has ${blocks.length} certificates; at most ${MOST_CERTIFICATES} are taken`;
  const chain: X509Certificate[] = [];
  for (const [i, block] of blocks.entries()) {
    const certificate = attempt(() => new X509Certificate(block));
    if (!certificate) return `certificate ${i + 1} cannot be parsed`;
    chain.push(certificate);
  }
  const broken = chain.findIndex((certificate, i) => i > 0 && !issued(certificate, chain[i - 1]!));
  return broken === -1 ? chain : `certificate ${broken + 1} has not issued the one before it; the leaf comes first, then who issued it`;
};

const issued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && attempt(() => certificate.verify(issuer.publicKey)) === true;

const flawOfKey = (text: string, leaf: X509Certificate | undefined): string | undefined => {
  if (text === '') return 'is required';
  const key: KeyObject | undefined = attempt(() => createPrivateKey(text));
  if (!key) return 'must be one private key as PEM, not encrypted';
  return leaf && !leaf.checkPrivateKey(key) ? 'is not the key of the first certificate' : undefined;
};

const detailsOf = (leaf: X509Certificate): Details => ({
  notBefore: leaf.validFromDate.toISOString(),
  notAfter: leaf.validToDate.toISOString(),
  subject: (leaf.subject ?? '').slice(0, MOST_NAME_CHARACTERS),
  issuer: (leaf.issuer ?? '').slice(0, MOST_NAME_CHARACTERS),
  serialNumber: leaf.serialNumber.toLowerCase(),
  fingerprintSha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
});

/** When the leaf ends to be valid. */
export const notAfterOf = (details: Details | null | undefined): Date | undefined => {
  const text = details?.['notAfter'];
  return text === undefined ? undefined : new Date(text);
};

const toDetails = (details: Details): CertificateDetails => ({
  notBeforeTime: new Date(details['notBefore']!),
  notAfterTime: notAfterOf(details),
  subject: details['subject'] ?? '',
  issuer: details['issuer'] ?? '',
  serialNumber: details['serialNumber'] ?? '',
  fingerprintSha256: details['fingerprintSha256'] ?? '',
});

export const certificate: SecretType = {
  kinds: { certificate: 'CERTIFICATE' },
  parse: (value, now) => {
    const given = value.$case === 'certificate' ? value.value : CertificateBundle.create();
    const { certificateChain, privateKey, acceptExpired } = given;
    const chain = parseChain(certificateChain);
    const leaf = typeof chain === 'string' ? undefined : chain[0];
    const violations: Violation[] = [];
    if (typeof chain === 'string') violations.push({ field: CHAIN, description: chain });
    else if (leaf && leaf.validToDate <= now && !acceptExpired)
      violations.push({ field: CHAIN, description: 'has expired; set accept_expired to store it all the same' });
    const flaw = flawOfKey(privateKey, leaf);
    if (flaw !== undefined) violations.push({ field: KEY, description: flaw });
    assertNone(violations);
    return { kind: 'CERTIFICATE', bytes: canonicalBytes({ certificateChain, privateKey }), ...(leaf && { details: detailsOf(leaf) }) };
  },
  show: (_, bytes) => {
    const { certificateChain = '', privateKey = '' } = textsOf(bytes);
    return { $case: 'certificate', value: { certificateChain, privateKey, acceptExpired: false } };
  },
  tell: (details) => ({ certificate: toDetails(details) }),
};
