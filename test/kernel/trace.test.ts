import { describe, expect, it } from 'vitest';
import { traceIdOf } from '../../src/kernel/trace.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('a traceparent that a caller sends', () => {
  it('gives its trace id, also from a later version with more at its end', () => {
    expect(traceIdOf(`00-${TRACE}-${SPAN}-01`)).toBe(TRACE);
    expect(traceIdOf(`cc-${TRACE}-${SPAN}-01-what-comes`)).toBe(TRACE);
  });

  it.each([
    ['empty', ''],
    ['with an all-zero trace id', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['with an all-zero parent id', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['in upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['of the forbidden version', `ff-${TRACE}-${SPAN}-01`],
    ['of version 00 with more at its end', `00-${TRACE}-${SPAN}-01-x`],
    ['with a line feed', `00-${TRACE}-${SPAN}-01\n`],
    ['cut short', `00-${TRACE}-${SPAN}`],
  ])('is none: %s', (_, text) => {
    expect(traceIdOf(text)).toBe('');
  });
});
