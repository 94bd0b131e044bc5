// What the handlers share.
import type { Auditor } from '../kernel/audit.ts';
import type { Db } from '../kernel/db.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { News } from './news.ts';
import type { Verifier } from './note.ts';
import type { Publication } from './publication.ts';
import type { Readers } from './readers.ts';
import type { Writer } from './writer.ts';

export interface Audit {
  readonly db: Db;
  readonly writer: Writer;
  /** For what this process itself has to tell. */
  readonly auditor: Auditor;
  readonly news: News;
  readonly readers: Readers;
  readonly verifier: Verifier;
  readonly publication: Publication;
  readonly pages: PageTokens;
}
