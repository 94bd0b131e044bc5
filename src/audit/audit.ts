// What the handlers share.
import type { Db } from '../kernel/db.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { Verifier } from './note.ts';
import type { Publication } from './publication.ts';
import type { Writer } from './writer.ts';

export interface Audit {
  readonly db: Db;
  readonly writer: Writer;
  readonly verifier: Verifier;
  readonly publication: Publication;
  readonly pages: PageTokens;
}
