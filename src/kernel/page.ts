// Page tokens: where a list goes on, sealed so that nobody reads or makes one, and bound to the other arguments of the
// list. A token is no authorization: every page is authorized like the first.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { AppError, invalid } from './errors.ts';

const DEFAULT_SIZE = 50;
const MAX_SIZE = 1000;

export interface PageTokens {
  /** `binding` holds all arguments that must stay the same from page to page. */
  seal(cursor: readonly string[], binding: readonly string[]): string;
  open(token: string, binding: readonly string[]): string[];
}

export const pageSize = (asked: number): number => {
  if (asked < 0) throw invalid('page_size', 'must not be negative');
  return asked === 0 ? DEFAULT_SIZE : Math.min(asked, MAX_SIZE);
};

const refuse = (): AppError =>
  invalid('page_token', 'is not one of this list, or another argument has changed since; begin with an empty one', 'INVALID_PAGE_TOKEN');

export const pageTokens = (key: Buffer): PageTokens => {
  const aad = (binding: readonly string[]): Buffer => createHash('sha256').update(JSON.stringify(binding)).digest();
  return {
    seal: (cursor, binding) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad(binding));
      return Buffer.concat([iv, cipher.update(JSON.stringify(cursor), 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
    },
    open: (token, binding) => {
      const bytes = Buffer.from(token, 'base64url');
      if (token.length > 2048 || bytes.length < 28) throw refuse();
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 }).setAAD(aad(binding));
        decipher.setAuthTag(bytes.subarray(-16));
        const text = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8');
        return JSON.parse(text) as string[];
      } catch {
        throw refuse();
      }
    },
  };
};

/** One page: asks for one row more than fits, to know whether there is a next page. */
export const pageOf = async <Row, Item>(options: {
  tokens: PageTokens;
  size: number;
  token: string;
  binding: readonly string[];
  first: readonly string[];
  select: (after: string[], limit: number) => Promise<Row[]>;
  cursor: (row: Row) => readonly string[];
  item: (row: Row) => Item;
}): Promise<{ items: Item[]; nextPageToken: string }> => {
  const { tokens, binding, cursor } = options;
  const size = pageSize(options.size);
  const after = options.token === '' ? [...options.first] : tokens.open(options.token, binding);
  const rows = await options.select(after, size + 1);
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return { items: shown.map(options.item), nextPageToken: rows.length > size && last ? tokens.seal(cursor(last), binding) : '' };
};
