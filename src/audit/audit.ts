// What the handlers share.
import type { Auditor } from '../kernel/audit.ts';
import type { Db } from '../kernel/db.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { News } from './news.ts';
import type { Verifier } from './note.ts';
import type { Publication } from './publication.ts';
import type { Readers, Sources } from './readers.ts';
import type { SelfCheck } from './self-check.ts';
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

/** What the handlers of AuditAdminService have besides. */
export interface AuditAdmin extends Audit {
  readonly selfCheck: SelfCheck;
  /** Whose entries tell of bindings. */
  readonly bindings: Sources | undefined;
}
