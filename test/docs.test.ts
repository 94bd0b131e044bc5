// What the documents say is checked against the code, so that neither runs ahead of the other.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { auditConfig } from '../src/audit/config.ts';
import { exportLogConfig } from '../src/audit/export/command.ts';
import { REASONS } from '../src/kernel/errors.ts';
import { migrateConfig } from '../src/kernel/migrate.ts';
import { keysConfig } from '../src/keys/config.ts';
import { storeConfig } from '../src/store/config.ts';
import { workerConfig } from '../src/worker/config.ts';

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

describe('docs/configuration.md', () => {
  const keysOf = (schema: z.ZodType, prefix = ''): string[] => {
    const inner = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? (schema.unwrap() as z.ZodType) : schema;
    if (!(inner instanceof z.ZodObject)) return [prefix.slice(0, -1)];
    return Object.entries(inner.shape).flatMap(([key, value]) => keysOf(value as z.ZodType, `${prefix}${key}.`));
  };
  const documented = new Set([...text('docs/configuration.md').matchAll(/`([a-zA-Z.]+)`/g)].map((m) => m[1]));

  it.each(Object.entries({ storeConfig, keysConfig, auditConfig, exportLogConfig, workerConfig, migrateConfig }))(
    'tells of every key of %s',
    (_, schema) => {
      expect(keysOf(schema).filter((key) => !documented.has(key))).toEqual([]);
    },
  );
});
