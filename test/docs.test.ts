// What the documents say is checked against the code, so that neither runs ahead of the other.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { REASONS } from '../src/kernel/errors.ts';

const ROOT = resolve(import.meta.dirname, '..');
const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('docs/errors.md', () => {
  it('has a line for every reason, with its code, and none for a reason that there is not', () => {
    const rows = [...text('docs/errors.md').matchAll(/^\| `([A-Z0-9_]+)` \| `([A-Z_]+)` \|/gm)].map((m) => [m[1], m[2]]);
    expect(Object.fromEntries(rows)).toEqual(REASONS);
    expect(rows.length).toBe(Object.keys(REASONS).length);
  });

  it('covers every reason that is used: none of them is dead', () => {
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('gen/') && name !== 'kernel/errors.ts')
      .map((name) => text(join('src', name)));
    const code = `${files.join('\n')}\n${text('src/kernel/errors.ts').slice(text('src/kernel/errors.ts').indexOf('export class AppError'))}`;
    expect(Object.keys(REASONS).filter((reason) => !code.includes(`'${reason}'`))).toEqual([]);
  });
});
