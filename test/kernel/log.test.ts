import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/kernel/errors.ts';
import { describe as describeError } from '../../src/kernel/log.ts';
import { metrics, serveMetrics } from '../../src/kernel/metrics.ts';
import { freePort, recordingLog } from './harness.ts';

/** What a process writes that logs so. */
const linesOf = (level: string, statements: string): Record<string, unknown>[] => {
  const module = new URL('../../src/kernel/log.ts', import.meta.url).href;
  const script = `import { openLog } from '${module}'; const log = openLog('store', '${level}'); ${statements}`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

describe('the log', () => {
  it('is one line of JSON for each message, with the service, a time and the fields', () => {
    const [line, ...others] = linesOf('info', `log.info({ method: '/a.B/C', ms: 1.5 }, 'call refused'); log.debug({}, 'not this');`);
    expect(others).toEqual([]);
    expect(line).toMatchObject({ service: 'store', method: '/a.B/C', ms: 1.5, msg: 'call refused' });
    expect(new Date(String(line?.['time'])).getTime()).toBeGreaterThan(Date.now() - 60_000);
  });

  it('writes no field but those it knows, so that a logged request gives no payload away', () => {
    const lines = linesOf(
      'debug',
      `for (const level of ['debug', 'info', 'warn', 'error']) log[level]({ method: 'm', payload: 'hunter2', request: { value: 'hunter2' }, dek: Buffer.from('hunter2') }, 'x');`,
    );
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(Object.keys(line).toSorted()).toEqual(['level', 'method', 'msg', 'service', 'time']);
  });

  it('tells of an error its kind, its message and its cause', () => {
    const cause = new TypeError('x is not a function');
    expect(describeError(new AppError('INTERNAL', 'internal error', { cause }))).toBe(
      'AppError: internal error (TypeError: x is not a function)',
    );
    expect(describeError(new Error('plain'))).toBe('Error: plain');
    expect(describeError({ password: 'hunter2' })).not.toContain('hunter2');
  });
});

describe('metrics', () => {
  it('are served as text at one path and nowhere else, until they are closed', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    metrics.refusedCalls.inc({ cause: 'too_large' });
    {
      await using _ = await serveMetrics({ host: '127.0.0.1', port }, recordingLog());
      const response = await fetch(`${url}/metrics`);
      expect(response.headers.get('content-type')).toContain('text/plain');
      expect(await response.text()).toContain('strongroom_refused_calls_total{cause="too_large"} 1');
      expect((await fetch(`${url}/`)).status).toBe(404);
      expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(404);
    }
    await expect(fetch(`${url}/metrics`)).rejects.toThrow();
  });
});
