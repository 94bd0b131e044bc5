// A cache that is emptied when its epoch moves. A load that began before a change does not stay after it, and one that
// failed does not stay at all.
import { openEpoch, type Lease } from './epoch.ts';

export interface EpochCacheOptions<Value> {
  queryEpoch: () => Promise<bigint>;
  load: (key: string) => Promise<Value>;
  /** The oldest entry leaves when one more comes. */
  max: number;
  /** What becomes of a value that leaves. */
  drop?: (value: Value) => void;
}

export interface EpochCache<Value> {
  /** To be awaited before `get`, once for each call. */
  confirm(): Promise<Lease>;
  /** To be called after a change made here. */
  expire(): void;
  get(key: string): Promise<Value>;
  /** Lets go of what `get` gave, if it is still there: what it was loaded from has changed. */
  forget(key: string, loaded: Promise<Value>): void;
  /** Raised whenever the cache is emptied. */
  readonly generation: number;
}

export const openEpochCache = <Value>({ queryEpoch, load, max, drop }: EpochCacheOptions<Value>): EpochCache<Value> => {
  const entries = new Map<string, Promise<Value>>();
  const remove = (key: string): void => {
    const entry = entries.get(key);
    entries.delete(key);
    entry?.then(drop, () => undefined);
  };
  const epoch = openEpoch({ query: queryEpoch, onChange: () => [...entries.keys()].forEach(remove) });

  return {
    confirm: () => epoch.confirm(),
    expire: () => epoch.expire(),
    get generation() {
      return epoch.generation;
    },
    forget: (key, loaded) => {
      if (entries.get(key) === loaded) remove(key);
    },
    get: (key) => {
      const known = entries.get(key);
      if (known) return known;
      const { generation } = epoch;
      const loading = load(key);
      const [oldest] = entries.keys();
      if (oldest !== undefined && entries.size >= max) remove(oldest);
      entries.set(key, loading);
      const forget = () => entries.get(key) === loading && remove(key);
      loading.then(() => epoch.generation !== generation && forget(), forget);
      return loading;
    },
  };
};
