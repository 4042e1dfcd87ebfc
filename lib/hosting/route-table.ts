/**
 * The routes of an application or a branch, over find-my-way: `/static`, `/:parameter`,
 * `/:number(^\d+$)`, `/:optional?`, `/files/*`.
 *
 * Paths are compared case-sensitively and already decoded, a slash at the end does not count, and what
 * is more specific wins whatever the order of registration. HEAD is answered by GET's route unless it has
 * one of its own, and so is an extended CONNECT; a route for all methods yields to one for the method.
 */
import createRouter from 'find-my-way';
import { RouteValuesFeature } from '../features/http-features.js';
import { HttpExtendedConnectFeature } from '../features/http2-features.js';
import { codedTypeError, invalidArgument } from '../http/errors.js';
import type { HttpContext } from '../http/http-context.js';
import type { HttpRequest } from '../http/http-request.js';
import type { RequestDelegate } from '../server/server.js';

/** `token` of RFC 9110 section 5.6.2, what a method is. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** What find-my-way would take for the end of the path, or decode once more. */
const NEEDS_ESCAPE = /[%?#]/g;

/** A path that needs more than a plain search: something to escape, or a segment without a character. */
const UNUSUAL = /[%?#]|\/\/|\/$/;

/** The name of what a wildcard takes. */
const WILDCARD = '*';

/** What makes a pattern more than a fixed path. */
const PATTERN_SYNTAX = /[:*(?]/;

/** find-my-way keeps a tree per method; here every method has a router of its own, so one name does. */
const ANY_NAME = 'GET';

/** No parameter is too long: the server limits the request line. */
const PARAMETER_LENGTH_MAX = Number.MAX_SAFE_INTEGER;

/** A match of find-my-way. */
type Found = NonNullable<ReturnType<ReturnType<typeof createRouter>['find']>>;

interface Route {
  readonly pattern: string;
  readonly handler: RequestDelegate;
}

/** The routes of one method. */
class MethodRoutes {
  /** What was registered for this method itself. */
  readonly routes: Route[] = [];
  private readonly fixed = new Map<string, RequestDelegate>();
  private readonly router = createRouter({
    maxParamLength: PARAMETER_LENGTH_MAX,
    querystringParser: () => undefined,
  });

  add(route: Route): void {
    this.insert(route);
    this.routes.push(route);
  }

  /** Takes the routes that do not stand in the way of the ones that are there. */
  addMissing(routes: readonly Route[]): void {
    for (const route of routes) {
      try {
        this.insert(route);
      } catch {
        // This method has a route of its own for the pattern.
      }
    }
  }

  compile(): void {
    this.router.compile();
  }

  /** Runs the route that the path matches; false where there is none. */
  run(context: HttpContext, path: string): false | void | Promise<void> {
    const fixed = this.fixed.get(path);
    if (fixed !== undefined) return fixed(context);
    const found = this.find(path);
    if (found === null) return false;
    context.features.set(RouteValuesFeature, { routeValues: found.params });
    return (found.store as RequestDelegate)(context);
  }

  matches(path: string): boolean {
    return this.fixed.has(path) || this.find(path) !== null;
  }

  private find(path: string): Found | null {
    if (!UNUSUAL.test(path)) return this.router.find(ANY_NAME, path);
    // find-my-way decodes, what is decoded already.
    const escaped = path.replace(NEEDS_ESCAPE, encodeURIComponent);
    // A segment may be empty here, which is no value for a parameter.
    const trimmed = withoutEmpty(this.router.find(ANY_NAME, trimSlash(escaped)));
    if (trimmed !== null && !(WILDCARD in trimmed.params)) return trimmed;
    // What a wildcard takes keeps its last slash.
    return withoutEmpty(this.router.find(ANY_NAME, escaped));
  }

  private insert({ pattern, handler }: Route): void {
    const bare = trimSlash(pattern);
    this.router.on(ANY_NAME, bare, unused, handler);
    if (PATTERN_SYNTAX.test(bare)) return;
    this.fixed.set(bare, handler);
    if (bare !== '/') this.fixed.set(`${bare}/`, handler);
  }
}

/** The routes of an application or a branch. */
export class RouteTable {
  private readonly methods = new Map<string, MethodRoutes>();
  private readonly all = new MethodRoutes();
  private getRoutes: MethodRoutes | undefined;
  /** Those for extended CONNECT: CONNECT's, then GET's. */
  private extendedRoutes: MethodRoutes | undefined;
  private isEmpty = true;

  /**
   * Adds a route.
   *
   * @param method - The method, or `undefined` for all of them.
   * @throws TypeError WH_ERR_INVALID_ROUTE where the pattern cannot be understood, or is there already.
   */
  add(method: string | undefined, pattern: string, handler: RequestDelegate): void {
    if (typeof pattern !== 'string')
      throw invalidArgument('The pattern of a route', 'a string', pattern);
    if (typeof handler !== 'function') {
      throw invalidArgument('The handler of a route', 'a function', handler);
    }
    if (method !== undefined && (typeof method !== 'string' || !TOKEN.test(method))) {
      throw invalidArgument('The method of a route', 'a method token', method);
    }
    try {
      this.routesOf(method).add({ pattern, handler });
    } catch (error) {
      throw codedTypeError(
        'WH_ERR_INVALID_ROUTE',
        `The route ${method ?? '(all methods)'} ${JSON.stringify(pattern)} cannot be added: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
    }
    this.isEmpty = false;
  }

  /** Makes the function that runs the matching route, or `otherwise`. Routes added later are not seen. */
  build(otherwise: RequestDelegate | undefined): RequestDelegate {
    if (this.isEmpty) return otherwise ?? answerNotFound;
    this.getRoutes = this.methods.get('GET');
    const head = this.methods.get('HEAD');
    if (head === undefined) {
      if (this.getRoutes !== undefined) this.methods.set('HEAD', this.getRoutes);
    } else if (this.getRoutes !== undefined) {
      head.addMissing(this.getRoutes.routes);
    }
    const connect = this.methods.get('CONNECT');
    this.extendedRoutes = this.getRoutes;
    if (connect !== undefined && this.getRoutes !== undefined) {
      this.extendedRoutes = new MethodRoutes();
      this.extendedRoutes.addMissing(connect.routes);
      this.extendedRoutes.addMissing(this.getRoutes.routes);
      this.extendedRoutes.addMissing(this.all.routes);
      this.extendedRoutes.compile();
    }
    for (const routes of new Set(this.methods.values())) {
      routes.addMissing(this.all.routes);
      routes.compile();
    }
    this.all.compile();
    return (context) => this.run(context, otherwise);
  }

  private run(context: HttpContext, otherwise: RequestDelegate | undefined): void | Promise<void> {
    const request = context.request;
    const path = pathOf(request);
    const method = request.method;
    let routes = method === 'GET' ? this.getRoutes : this.methods.get(method);
    if (method === 'CONNECT' && isExtendedConnect(context)) routes = this.extendedRoutes ?? routes;
    const result = (routes ?? this.all).run(context, path);
    if (result !== false) return result;
    // A pattern with an optional part may stand in for all methods in one of its two forms only.
    const rest = routes === undefined ? false : this.all.run(context, path);
    if (rest !== false) return rest;
    if (otherwise !== undefined) return otherwise(context);
    const allowed = [...this.methods].filter(([, other]) => other.matches(path));
    if (allowed.length === 0) return answerNotFound(context);
    context.response.statusCode = 405;
    context.response.headers.set('Allow', allowed.map(([name]) => name).join(', '));
  }

  private routesOf(method: string | undefined): MethodRoutes {
    if (method === undefined) return this.all;
    let routes = this.methods.get(method);
    if (routes === undefined) this.methods.set(method, (routes = new MethodRoutes()));
    return routes;
  }
}

/**
 * The answer where nothing else answers: 404 without a body, unless an answer has started. To CONNECT it is
 * 405: its target is no resource of ours, and allows no method (RFC 9110 sections 9.3.6 and 10.2.1).
 */
export function answerNotFound(context: HttpContext): void {
  const { request, response } = context;
  if (response.hasStarted) return;
  const isConnect = request.method === 'CONNECT' && !isExtendedConnect(context);
  response.statusCode = isConnect ? 405 : 404;
  if (isConnect) response.headers.set('Allow', '');
}

/**
 * Whether a request is an extended CONNECT (RFC 8441), which takes the routes of GET: what a browser asks for
 * with GET and Upgrade on HTTP/1.1 it asks for so on HTTP/2.
 */
function isExtendedConnect({ features }: HttpContext): boolean {
  return features.get(HttpExtendedConnectFeature)?.isExtendedConnect === true;
}

/** What routes compare: in a branch, a request to the branch itself is one to its root. */
function pathOf(request: HttpRequest): string {
  const path = request.path;
  return path === '' && request.pathBase !== '' ? '/' : path;
}

/** A path without the slash at its end, which says nothing; the root stays. */
function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function withoutEmpty(found: Found | null): Found | null {
  if (found === null) return null;
  for (const name in found.params) {
    if (found.params[name] === '' && name !== WILDCARD) return null;
  }
  return found;
}

/** find-my-way wants a handler; ours travels in the route's store, which it hands back untouched. */
function unused(): void {}
