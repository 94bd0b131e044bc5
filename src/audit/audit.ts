// What the handlers share.
import type { Auditor } from '../kernel/audit.ts';
import type { Db } from '../kernel/db.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { Verifier } from './note.ts';
import type { SelfCheck } from './self-check.ts';
import type { Writer } from './writer.ts';

export interface Audit {
  readonly db: Db;
  readonly writer: Writer;
  readonly verifier: Verifier;
  readonly pages: PageTokens;
}

/** What the handlers of AuditAdminService have besides. */
export interface AuditAdmin extends Audit {
  /** For entries that a handler makes itself. */
  readonly auditor: Auditor;
  readonly selfCheck: SelfCheck;
}
