/** What an application and each of its branches are put together with. */
import { codedTypeError, invalidArgument, WindhoverError } from '../http/errors.js';
import type { Middleware } from '../http/middleware.js';
import type { RequestDelegate } from '../server/server.js';
import { compose, isPromise } from './pipeline.js';
import { RouteTable } from './route-table.js';

/**
 * Middleware, branches, routes and a fallback. A request passes the middleware and the branches in the
 * order in which they were added; then the routes, whatever their order; then the fallback. What nobody
 * answers is 404, or 405 where its path has a route of another method.
 *
 * All members return the builder itself. All throw WindhoverError WH_ERR_APPLICATION_STARTED once the
 * application has started, and TypeError WH_ERR_INVALID_ARGUMENT for what is no function or string.
 */
export class PipelineBuilder {
  private readonly steps: (() => Middleware)[] = [];
  private readonly routes = new RouteTable();
  private last: RequestDelegate | undefined = undefined;
  private sealed = false;

  /** Adds a step that every request passes. */
  use(middleware: Middleware): this {
    this.ensureOpen();
    if (typeof middleware !== 'function')
      throw invalidArgument('middleware', 'a function', middleware);
    this.steps.push(() => middleware);
    return this;
  }

  /**
   * Sends the requests below a path into a branch. There `pathBase` has grown by that path and `path`
   * shrunk by it; afterwards both are as before. What the branch does not answer is 404.
   *
   * @param prefix - Whole segments, such as `/api`; compared case-sensitively.
   * @param configure - Puts the branch together; called at once.
   * @throws TypeError WH_ERR_INVALID_PATH unless the prefix starts with a slash and ends without one.
   */
  map(prefix: string, configure: (branch: PipelineBuilder) => void): this {
    this.ensureOpen();
    if (typeof prefix !== 'string')
      throw invalidArgument('The prefix of a branch', 'a string', prefix);
    if (typeof configure !== 'function')
      throw invalidArgument('configure', 'a function', configure);
    if (!prefix.startsWith('/') || prefix.endsWith('/')) {
      throw codedTypeError(
        'WH_ERR_INVALID_PATH',
        `The prefix of a branch must start with a slash and end without one, not ${JSON.stringify(prefix)}`,
      );
    }
    const branch = new PipelineBuilder();
    configure(branch);
    this.steps.push(() => enterBranch(prefix, branch._build()));
    return this;
  }

  /**
   * Adds a route for some methods.
   *
   * @param methods - One method or several, case-sensitive (RFC 9110 section 9.1).
   * @param pattern - `/static`, `/:parameter`, `/:number(^\d+$)`, `/:optional?`, `/files/*`.
   * @param handler - What answers; `context.request.routeValues` has the parameters.
   * @throws TypeError WH_ERR_INVALID_ROUTE where the pattern cannot be understood, or is there already.
   */
  route(methods: string | readonly string[], pattern: string, handler: RequestDelegate): this {
    this.ensureOpen();
    const list = typeof methods === 'string' ? [methods] : methods;
    if (!Array.isArray(list)) throw invalidArgument('methods', 'a string or an array', methods);
    for (const method of list as readonly string[]) {
      this.routes.add(method, pattern, handler);
    }
    return this;
  }

  /** Adds a route for GET, which answers HEAD too. See {@link route}. */
  get(pattern: string, handler: RequestDelegate): this {
    return this.route('GET', pattern, handler);
  }

  /** Adds a route for POST. See {@link route}. */
  post(pattern: string, handler: RequestDelegate): this {
    return this.route('POST', pattern, handler);
  }

  /** Adds a route for PUT. See {@link route}. */
  put(pattern: string, handler: RequestDelegate): this {
    return this.route('PUT', pattern, handler);
  }

  /** Adds a route for DELETE. See {@link route}. */
  delete(pattern: string, handler: RequestDelegate): this {
    return this.route('DELETE', pattern, handler);
  }

  /** Adds a route for PATCH. See {@link route}. */
  patch(pattern: string, handler: RequestDelegate): this {
    return this.route('PATCH', pattern, handler);
  }

  /** Adds a route for HEAD, in place of GET's. See {@link route}. */
  head(pattern: string, handler: RequestDelegate): this {
    return this.route('HEAD', pattern, handler);
  }

  /** Adds a route for OPTIONS. See {@link route}. */
  options(pattern: string, handler: RequestDelegate): this {
    return this.route('OPTIONS', pattern, handler);
  }

  /** Adds a route for every method that has none of its own for the pattern. See {@link route}. */
  all(pattern: string, handler: RequestDelegate): this {
    this.ensureOpen();
    this.routes.add(undefined, pattern, handler);
    return this;
  }

  /** Sets what answers the requests that no route matches, in place of 404 and 405. The last set counts. */
  fallback(handler: RequestDelegate): this {
    this.ensureOpen();
    if (typeof handler !== 'function') throw invalidArgument('handler', 'a function', handler);
    this.last = handler;
    return this;
  }

  /** @internal Makes one function of it all; nothing can be added afterwards. */
  _build(): RequestDelegate {
    this.sealed = true;
    return compose(
      this.steps.map((step) => step()),
      this.routes.build(this.last),
    );
  }

  private ensureOpen(): void {
    if (!this.sealed) return;
    throw new WindhoverError(
      'WH_ERR_APPLICATION_STARTED',
      'The application has started: its pipeline can no longer change',
    );
  }
}

function enterBranch(prefix: string, branch: RequestDelegate): Middleware {
  return (context, next) => {
    const request = context.request;
    const { path, pathBase } = request;
    if (!path.startsWith(prefix)) return next();
    if (path.length > prefix.length && path[prefix.length] !== '/') return next();
    const leave = (): void => {
      request.pathBase = pathBase;
      request.path = path;
    };
    request.pathBase = pathBase + prefix;
    request.path = path.slice(prefix.length);
    let result: void | Promise<void>;
    try {
      result = branch(context);
    } catch (error) {
      leave();
      throw error;
    }
    if (isPromise(result)) {
      return result.then(leave, (error: unknown) => {
        leave();
        throw error;
      });
    }
    leave();
  };
}
