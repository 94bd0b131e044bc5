import { describe, expect, it } from 'vitest';
import { factsOf } from '../../src/keys/call-context.ts';
import { parseId, parseKeyRing, parseRootKey, parseScope, parseUuid, rootKeyName, scopeName } from '../../src/keys/names.ts';

const UID = '01900000-0000-7000-8000-00000000abcd';
const refusal = (field: string) => expect.objectContaining({ code: 'INVALID_ARGUMENT', metadata: expect.objectContaining({ field }) });

describe('names of the key service', () => {
  it('come back as they were', () => {
    expect(rootKeyName(parseRootKey('keyRings/provider/keys/k-1'))).toBe('keyRings/provider/keys/k-1');
    expect(scopeName(parseScope(`scopes/${UID}`))).toBe(`scopes/${UID}`);
    expect(parseKeyRing('keyRings/provider', 'parent')).toEqual({ keyRing: 'provider' });
    expect(parseRootKey(`keyRings/provider/keys/${UID}`).key).toBe(UID);
  });

  it.each([
    '',
    'keyRings',
    'keyRings/',
    'keyRings/A',
    'keyRings/-a',
    'keyRings/a-',
    'keyRings/a/keys/b',
    `keyRings/${'a'.repeat(64)}`,
    'keyRings/a\n',
  ])('refuse the key ring %j and say which field it was', (name) => {
    expect(() => parseKeyRing(name, 'parent')).toThrow(refusal('parent'));
  });

  it.each(['', 'scopes/x', `scopes/${UID.toUpperCase()}`, `scopes/${UID}/x`, `/scopes/${UID}`, UID])('refuse the scope %j', (name) => {
    expect(() => parseScope(name, 'scope')).toThrow(refusal('scope'));
  });

  it('refuse an ID and a UUID of the wrong shape', () => {
    expect(() => parseId('A', 'root_key_id')).toThrow(refusal('root_key_id'));
    expect(() => parseUuid('no', 'owner')).toThrow(refusal('owner'));
  });
});

describe('on whose behalf a call is made', () => {
  const context = { principal: 'spiffe://strongroom.internal/app', resource: 'instances/a', correlationId: 'id-1', traceId: '' };

  it('goes into the entry', () => {
    expect(factsOf(context)).toEqual({ onBehalfOf: context.principal, resource: 'instances/a', correlationId: 'id-1' });
    expect(factsOf({ ...context, traceId: 'a'.repeat(32) })).toMatchObject({ traceId: 'a'.repeat(32) });
    expect(factsOf(undefined)).toEqual({});
  });

  it('is refused in a form that the audit log would refuse, naming the field', () => {
    expect(() => factsOf({ ...context, principal: 'app' })).toThrow(refusal('call_context.principal'));
    expect(() => factsOf({ ...context, resource: 'x'.repeat(513) })).toThrow(refusal('call_context.resource'));
    expect(() => factsOf({ ...context, correlationId: 'a b' })).toThrow(refusal('call_context.correlation_id'));
    expect(() => factsOf({ ...context, traceId: 'A'.repeat(32) })).toThrow(refusal('call_context.trace_id'));
  });
});
