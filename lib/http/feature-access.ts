/**
 * How contexts, requests and responses reach the features of their request: the feature found last is
 * kept for as long as the collection's `revision` stays the same, so that an unchanged collection costs
 * one comparison and a feature that middleware replaced is honoured at once. Source: ASP.NET Core's
 * FeatureReferences.
 */
import type { FeatureCollection, FeatureToken } from '../features/feature-collection.js';
import { contextDisposed, featureMissing } from './errors.js';

/**
 * What stands in for the features of a request that is over: its revision is no collection's, so that
 * every kept feature is looked up anew, and looking up throws WH_ERR_CONTEXT_DISPOSED. Use after the end
 * is thus noticed without a check of its own on the way of a live request.
 */
export const DISPOSED_FEATURES: FeatureCollection = {
  revision: -1,
  get(): never {
    throw contextDisposed();
  },
  set(): never {
    throw contextDisposed();
  },
  [Symbol.iterator](): never {
    throw contextDisposed();
  },
};

/** The feature of that token; throws WH_ERR_FEATURE_MISSING where the server provides none. */
export function requireFeature<T>(features: FeatureCollection, token: FeatureToken<T>): T {
  const feature = features.get(token);
  if (feature === undefined) throw featureMissing(token.name);
  return feature;
}
