// Etags: which revision of which resource somebody has read. Pure.
import { etagMismatch } from './errors.ts';

/** Opaque, in quotes (RFC 9110); the uid keeps a later resource of the same name apart. */
export const etagOf = (uid: string, revision: bigint): string => `"${uid}-${revision.toString(36)}"`;

/** An empty one matches every revision. */
export const checkEtag = (name: string, sent: string, uid: string, revision: bigint): void => {
  if (sent !== '' && sent !== etagOf(uid, revision)) throw etagMismatch(name);
};
