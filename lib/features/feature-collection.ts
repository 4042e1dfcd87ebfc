/**
 * Features: the words in which a server and an application talk about a request.
 *
 * A server gives every request as a collection of features, each found by its token. A token and the
 * interface of its feature share one name, as in `features.get(HttpConnectionFeature)`. Middleware may
 * replace a feature (`set`) for everything that runs after it.
 */

/** Identifies a feature. Make one with {@link createFeatureToken}; compare by `key`. */
export interface FeatureToken<T> {
  /** The feature's name, for messages. */
  readonly name: string;
  /** The identity: `Symbol.for('windhover.feature.' + name)`, so that two copies of the package agree. */
  readonly key: symbol;
  /** Carries the type only; never present at run time. */
  readonly feature?: T;
}

/**
 * Makes the token of a feature.
 *
 * @param name - The feature's name; two tokens of one name are the same token.
 */
export function createFeatureToken<T>(name: string): FeatureToken<T> {
  return Object.freeze({ name, key: Symbol.for(`windhover.feature.${name}`) });
}

/** A set of features, by token. Source: ASP.NET Core's IFeatureCollection. */
export interface FeatureCollection extends Iterable<readonly [symbol, unknown]> {
  /** Grows with every change, so that a reader may keep what it found while this stays the same. */
  readonly revision: number;
  /** The feature, or `undefined` where neither this collection nor its defaults have it. */
  get<T>(token: FeatureToken<T>): T | undefined;
  /** Puts a feature in place of the one that was there; `undefined` removes it. */
  set<T>(token: FeatureToken<T>, feature: T | undefined): void;
}

class DefaultFeatureCollection implements FeatureCollection {
  private readonly features = new Map<symbol, unknown>();
  private changes = 0;

  constructor(private readonly defaults?: FeatureCollection) {}

  get revision(): number {
    return this.changes + (this.defaults?.revision ?? 0);
  }

  get<T>(token: FeatureToken<T>): T | undefined {
    const own = this.features.get(token.key) as T | undefined;
    return own ?? this.defaults?.get(token);
  }

  set<T>(token: FeatureToken<T>, feature: T | undefined): void {
    this.changes++;
    if (feature === undefined) this.features.delete(token.key);
    else this.features.set(token.key, feature);
  }

  *[Symbol.iterator](): Iterator<readonly [symbol, unknown]> {
    yield* this.features;
    if (this.defaults !== undefined) {
      for (const entry of this.defaults) {
        if (!this.features.has(entry[0])) yield entry;
      }
    }
  }
}

/** Makes an empty collection, or one that falls back on another: `new FeatureCollection(defaults?)`. */
export const FeatureCollection: new (defaults?: FeatureCollection) => FeatureCollection =
  DefaultFeatureCollection;
