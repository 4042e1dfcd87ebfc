/**
 * What stands in for the features that a server need not provide: put into the request's collection when
 * first asked for, so that everybody sees the same one. Source: ASP.NET Core's default features.
 */
import type { FeatureCollection } from '../features/feature-collection.js';
import {
  HttpConnectionFeature,
  HttpRequestIdentifierFeature,
  HttpRequestLifetimeFeature,
} from '../features/http-features.js';

/** The request's lifetime; one that the server knows nothing of where it provides none. */
export function lifetimeOf(features: FeatureCollection): HttpRequestLifetimeFeature {
  const provided = features.get(HttpRequestLifetimeFeature);
  if (provided !== undefined) return provided;
  const controller = new AbortController();
  const feature: HttpRequestLifetimeFeature = {
    requestAborted: controller.signal,
    abort: () => {
      controller.abort();
    },
  };
  features.set(HttpRequestLifetimeFeature, feature);
  return feature;
}

/** The request's connection; one without addresses where the server provides none. */
export function connectionOf(features: FeatureCollection): HttpConnectionFeature {
  const provided = features.get(HttpConnectionFeature);
  if (provided !== undefined) return provided;
  const feature: HttpConnectionFeature = {
    connectionId: '',
    remoteAddress: undefined,
    remotePort: 0,
    localAddress: undefined,
    localPort: 0,
  };
  features.set(HttpConnectionFeature, feature);
  return feature;
}

/** Numbers the requests of servers that do not name them. */
let unnamedRequests = 0;

/** The request's name in logs; a number of this process where the server gives none. */
export function identifierOf(features: FeatureCollection): HttpRequestIdentifierFeature {
  const provided = features.get(HttpRequestIdentifierFeature);
  if (provided !== undefined) return provided;
  const feature: HttpRequestIdentifierFeature = {
    traceIdentifier: `request-${String(++unnamedRequests)}`,
  };
  features.set(HttpRequestIdentifierFeature, feature);
  return feature;
}
