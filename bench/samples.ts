// Tells what a CPU profile saw: each sample counts for the innermost function whose file says what it was for.

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

/** What V8 writes; times in microseconds of the monotonic clock. */
export interface Profile {
  nodes: ProfileNode[];
  startTime: number;
  samples: number[];
  timeDeltas: number[];
}

type Verdict = { group: string } | { unless: string } | undefined;

const GRPC = /\/@grpc\/grpc-js\/.*\/([\w-]+)\.js$/;
const GRPC_BOTH_SIDES = new Set(['metadata', 'stream-decoder', 'compression-filter', 'call-interface', 'error']);

/** `unless`: if nothing further out says better. */
const judge = (url: string): Verdict => {
  const [, grpc] = GRPC.exec(url) ?? [];
  if (grpc !== undefined) {
    if (GRPC_BOTH_SIDES.has(grpc)) return { unless: 'gRPC, either side' };
    return { group: grpc.startsWith('server') ? 'gRPC server' : 'gRPC client' };
  }
  if (url.startsWith('node:internal/crypto')) return { group: 'cryptography and random numbers' };
  if (/^node:(internal\/http2|net|_tls|internal\/tls|internal\/stream_base|internal\/js_stream)/.test(url))
    return { unless: 'HTTP/2, TLS, sockets' };
  if (/\/node_modules\/pg/.test(url)) return { group: 'PostgreSQL driver' };
  if (/\/@bufbuild\/|\/src\/gen\//.test(url)) return { group: 'protobuf' };
  const [, library] = /\/node_modules\/((?:@[\w-]+\/)?[\w-]+)\//.exec(url) ?? [];
  if (library !== undefined) return { group: library };
  const [, own] = /\/src\/(.+)\.ts$/.exec(url) ?? [];
  return own === undefined ? undefined : { group: `own: ${own}` };
};

const SPECIAL: ReadonlyMap<string, string> = new Map([
  ['(garbage collector)', 'garbage collection'],
  ['(program)', 'native: TLS records, HTTP/2 frames, system calls'],
]);

const groupOf = (node: ProfileNode, parents: ReadonlyMap<number, ProfileNode>): string => {
  const special = SPECIAL.get(node.callFrame.functionName);
  if (special !== undefined) return special;
  let otherwise = 'event loop, timers, promises';
  let found = false;
  for (let at: ProfileNode | undefined = node; at; at = parents.get(at.id)) {
    const verdict = judge(at.callFrame.url);
    if (verdict && 'group' in verdict) return verdict.group;
    if (verdict && !found) {
      otherwise = verdict.unless;
      found = true;
    }
  }
  return otherwise;
};

const nameOf = ({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string => {
  const file = url.replace(/^.*\/node_modules\/|^.*\/(?=src\/)/, '');
  return `${functionName || '(anonymous)'}${file === '' ? '' : `  ${file}:${lineNumber + 1}`}`;
};

/** Microseconds by key, of the samples in a window; waiting is left out. */
const sumBy = (profile: Profile, window: { from: number; to: number }, keyOf: (node: ProfileNode) => string): Map<string, number> => {
  const keys = new Map(profile.nodes.filter(({ callFrame }) => callFrame.functionName !== '(idle)').map((node) => [node.id, keyOf(node)]));
  const sums = new Map<string, number>();
  let time = profile.startTime;
  profile.samples.forEach((id, i) => {
    time += profile.timeDeltas[i]!;
    const key = keys.get(id);
    if (key !== undefined && time >= window.from && time < window.to)
      sums.set(key, (sums.get(key) ?? 0) + (profile.timeDeltas[i + 1] ?? 0));
  });
  return sums;
};

const FUNCTIONS = 25;

/**
 * A line for each group and for the costliest functions, in microseconds of `cpu`, which is what the operating system has
 * counted for one item: the profiler's own clock also runs while another process has the core.
 */
export const shareOut = (profile: Profile, window: { from: number; to: number }, cpu: number): string => {
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)));
  const lines = (sums: Map<string, number>, most: number): string[] => {
    const total = [...sums.values()].reduce((a, b) => a + b, 0);
    const sorted = [...sums].toSorted(([, a], [, b]) => b - a).slice(0, most);
    return sorted.map(([key, sum]) => `  ${((sum / total) * cpu).toFixed(1).padStart(7)}  ${key}`);
  };
  const groups = lines(
    sumBy(profile, window, (node) => groupOf(node, parents)),
    Infinity,
  );
  const functions = lines(
    sumBy(profile, window, (node) => `${nameOf(node)}  [${groupOf(node, parents)}]`),
    FUNCTIONS,
  );
  return [...groups, '  by function:', ...functions].join('\n');
};
