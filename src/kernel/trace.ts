// W3C Trace Context: what a caller sends as `traceparent` is passed on as it came, and its trace id joins log lines and
// audit entries with the traces of whoever keeps some. We make no spans. Pure.

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/** The trace id, 32 hexadecimal digits; empty if this is no traceparent. Later versions may have more at the end. */
export const traceIdOf = (traceparent: string): string => {
  const [, version, traceId = '', parentId, more] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === 'ff' || (version === '00' && more !== undefined)) return '';
  return /[1-9a-f]/.test(traceId) && /[1-9a-f]/.test(parentId ?? '') ? traceId : '';
};
