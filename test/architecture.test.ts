// The rules of the layout, kept by a test: who may import whom, where SQL may stand, how long a file may be.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const SLICES = ['store', 'keys', 'audit', 'worker'];

const filesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));

const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const importsOf = (file: string): string[] => [...text(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((m) => m[1] ?? '');
const localImportsOf = (file: string): string[] =>
  importsOf(file)
    .filter((path) => path.startsWith('.'))
    .map((path) => relative(ROOT, resolve(ROOT, dirname(file), path)));

const sources = filesIn('src').filter((file) => !file.startsWith('src/gen/'));
const sliceOf = (file: string): string | undefined => SLICES.find((slice) => file.startsWith(`src/${slice}/`));
const offenders = (rule: (file: string) => string[]): string[] => sources.flatMap((file) => rule(file).map((what) => `${file}: ${what}`));

describe('the layout', () => {
  it('lets no slice import another, but for the purge SQL that the worker runs', () => {
    const found = offenders((file) =>
      localImportsOf(file).filter((target) => {
        const other = sliceOf(target);
        const sanctioned = sliceOf(file) === 'worker' && /^src\/store\/sql\/purge(-\w+)?\.ts$/.test(target);
        return sliceOf(file) !== undefined && other !== undefined && other !== sliceOf(file) && !sanctioned;
      }),
    );
    expect(found).toEqual([]);
  });

  it('keeps the kernel free of every slice', () => {
    expect(
      offenders((file) => (file.startsWith('src/kernel/') ? localImportsOf(file).filter((t) => sliceOf(t) !== undefined) : [])),
    ).toEqual([]);
  });

  it('lets the kernel know one generated service, the audit log, besides the standard ones', () => {
    const found = offenders((file) =>
      file.startsWith('src/kernel/') ? localImportsOf(file).filter((t) => /src\/gen\/strongroom\/(?!audit)/.test(t)) : [],
    );
    expect(found).toEqual([]);
  });

  it('lets no source import a test', () => {
    expect(offenders((file) => localImportsOf(file).filter((t) => t.startsWith('test/')))).toEqual([]);
  });

  it('has SQL only in sql/ and migrations, and in the kernel files that own a table', () => {
    const owners = ['src/kernel/db.ts', 'src/kernel/migrate.ts', 'src/kernel/outbox.ts', 'src/dev/', '/migrate.ts'];
    const found = offenders((file) =>
      !file.includes('/sql/') && !owners.some((owner) => file.includes(owner))
        ? [...text(file).matchAll(/[`'](select |insert into |update \w+ set |delete from )/gi)].map((m) => m[1] ?? '')
        : [],
    );
    expect(found).toEqual([]);
  });

  it('gives a name of its own to every prepared statement, since a connection has one of each name', () => {
    const names = sources.flatMap((file) => [...text(file).matchAll(/name: '(\w+\.\w+)'/g)].map((found) => found[1]!));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('lets an RPC import no other RPC and no cryptography', () => {
    const found = offenders((file) => (file.includes('/rpc/') ? importsOf(file).filter((t) => /\/rpc\/|^\.\/|node:crypto/.test(t)) : []));
    expect(found).toEqual([]);
  });

  it('never reads a clock or does input and output in the pure files of a slice', () => {
    const pure = [
      'names',
      'access',
      'state',
      'fields',
      'payload',
      'wrap',
      'hmac',
      'merkle',
      'tiles',
      'tlog-tiles',
      'note',
      'cosignature',
      'checkpoint',
      'policy',
      'receipt',
      'event',
    ];
    const found = offenders((file) =>
      sliceOf(file) && pure.some((name) => file.endsWith(`/${name}.ts`))
        ? [...text(file).matchAll(/Date\.now|new Date\(\)|performance\.now|node:fs|node:net|kernel\/db/g)].map((m) => m[0])
        : [],
    );
    expect(found).toEqual([]);
  });

  it('has no file over 300 lines', () => {
    const all = [...sources, ...filesIn('test')];
    expect(all.filter((file) => text(file).split('\n').length > 300)).toEqual([]);
  });

  it('has no import cycles', () => {
    const graph = new Map(sources.map((file) => [file, localImportsOf(file)]));
    const cycles: string[] = [];
    const visit = (file: string, path: string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      else if (!done.has(file)) for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    const done = new Set<string>();
    for (const file of sources) visit(file, []);
    expect(cycles).toEqual([]);
  });
});
