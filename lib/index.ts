/** windhover's public face: what is not named here is not public. */

// Applications.
export { serve } from './hosting/serve.js';
export type { RunningServer, ServeOptions } from './hosting/serve.js';
export { WebApplication } from './hosting/web-application.js';
export type { WebApplicationBuilder, WebApplicationOptions } from './hosting/web-application.js';
export type { ApplicationLifetime, Readiness } from './hosting/application-lifetime.js';
export type { ServerFactory } from './hosting/default-server.js';
export type { HostEnvironment } from './hosting/host-environment.js';
export type { Middleware, Next } from './http/middleware.js';
export type { PipelineBuilder } from './hosting/pipeline-builder.js';
export type { ApplicationPipeline } from './hosting/application-pipeline.js';
export type { ServerConfiguration } from './hosting/server-configuration.js';

// Ready-made middleware.
export { forwardedHeaders } from './middleware/forwarded-headers.js';
export type { ForwardedHeader, ForwardedHeadersOptions } from './middleware/forwarded-options.js';
export { hostFiltering } from './middleware/host-filtering.js';
export type { HostFilteringOptions } from './middleware/host-filtering.js';
export { httpsRedirection } from './middleware/https-redirection.js';
export type { HttpsRedirectionOptions, PortSources } from './middleware/https-redirection.js';
export { hsts } from './middleware/hsts.js';
export type { HstsOptions } from './middleware/hsts.js';
export { HealthChecks } from './middleware/health-checks.js';
export type {
  HealthCheck,
  HealthCheckAnswer,
  HealthCheckContext,
  HealthCheckOptions,
  HealthCheckRegistration,
  HealthCheckResult,
  HealthReport,
  HealthReportEntry,
  HealthStatus,
} from './middleware/health-checks.js';
export { healthEndpoint } from './middleware/health-endpoint.js';
export type { HealthEndpointOptions, HealthResponseWriter } from './middleware/health-endpoint.js';
export { requestTimeouts, withRequestTimeout } from './middleware/request-timeouts.js';
export type {
  RequestTimeout,
  RequestTimeoutPolicy,
  RequestTimeoutsOptions,
} from './middleware/request-timeouts.js';

// Configuration.
export { Configuration } from './hosting/configuration.js';
export type { Scalar, Setting } from './hosting/configuration.js';
export { loadConfiguration } from './hosting/configuration-sources.js';
export type { ConfigurationOptions } from './hosting/configuration-sources.js';
export { serverOptionsFromConfiguration } from './hosting/server-options-binding.js';

// Servers.
export { WindhoverServer } from './server/windhover-server.js';
export { NodeHttpServer } from './server/node-http-server.js';
export type { DefaultServer, ServerName } from './server/default-server.js';
export { connectionLogging } from './server/connections.js';
export type {
  Connection,
  ConnectionEnd,
  ConnectionEndReason,
  ConnectionEnds,
  ConnectionMiddleware,
  DebugLogger,
} from './server/connections.js';
export type {
  Bytes,
  CertificateOptions,
  DescriptorEndpoint,
  EndpointOptions,
  EndpointSettings,
  HostTlsOptions,
  Http1Options,
  Http2Limits,
  HttpsOptions,
  MinDataRate,
  OneOrSeveral,
  ProxyProtocolOptions,
  Refusal,
  RefusalAnswer,
  RefusalHook,
  ServerLimits,
  ServerOptions,
  ShutdownOptions,
  SniOptions,
  SystemdEndpoint,
  TcpEndpoint,
  TlsVersion,
  UnixEndpoint,
  UrlEndpoint,
} from './server/options.js';
export { findDevelopmentCertificate } from './server/development-certificate.js';
export type { CertificateFiles } from './server/development-certificate.js';
export { createApplication } from './server/server.js';
export { withTimeout } from './server/with-timeout.js';
export type { StoppingHook } from './server/stopping-hooks.js';
export type {
  ApplicationOptions,
  ErrorListener,
  HttpApplication,
  RequestDelegate,
  Server,
} from './server/server.js';

// What an operator sees.
export { ChannelNames } from './server/diagnostics.js';
export type {
  Http2FloodMessage,
  RequestMessage,
  RequestRefusedMessage,
  ServerStartMessage,
  ServerStopMessage,
} from './server/diagnostics.js';
export { LogEvents } from './server/log-events.js';
export type { LogEvent, Logger } from './server/log-events.js';
export type {
  DurationHistogram,
  ServerMetrics,
  StatusClass,
  TlsMetrics,
} from './server/metrics.js';
export { metricsContentType, metricsText } from './server/metrics-text.js';
export type { MetricsSource } from './server/metrics-text.js';
export { instrument } from './server/opentelemetry.js';
export type {
  HistogramLike,
  InstrumentOptions,
  MeterLike,
  MetricAttributes,
  ObservableCallbackLike,
  ObservableLike,
} from './server/opentelemetry.js';

// One request.
export { HttpContext } from './http/http-context.js';
export type { HttpRequest, ValuesByName } from './http/http-request.js';
export type { HttpResponse } from './http/http-response.js';
export type { ConnectionInfo } from './http/connection-info.js';
export type { RequestBody } from './http/request-body.js';
export { HeaderMap } from './http/header-map.js';
export { BadHttpRequestError, WindhoverError } from './http/errors.js';
export type { CodedError } from './http/errors.js';

// Leaving HTTP.
export { acceptWebSocket } from './adapters/websocket.js';
export type { AcceptedWebSocket, WebSocketAcceptor } from './adapters/websocket.js';
export { toNodeUpgrade } from './adapters/node-upgrade.js';
export type { NodeUpgrade } from './adapters/node-upgrade.js';
export type { UpgradedSocket } from './http/upgraded-socket.js';

// Features.
export { createFeatureToken, FeatureCollection } from './features/feature-collection.js';
export type { FeatureToken } from './features/feature-collection.js';
export type { HeaderDictionary } from './features/header-dictionary.js';
export {
  HttpConnectionFeature,
  HttpInformationalResponseFeature,
  HttpMaxRequestBodySizeFeature,
  HttpMinRequestBodyDataRateFeature,
  HttpMinResponseDataRateFeature,
  HttpRequestBodyDetectionFeature,
  HttpRequestFeature,
  HttpRequestIdentifierFeature,
  HttpRequestLifetimeFeature,
  HttpRequestTimeoutFeature,
  HttpRequestTrailersFeature,
  HttpResponseBodyFeature,
  HttpResponseFeature,
  HttpResponseTrailersFeature,
  HttpUpgradeFeature,
  RouteValuesFeature,
} from './features/http-features.js';
export {
  Http2StreamIdFeature,
  HttpExtendedConnectFeature,
  HttpResetFeature,
} from './features/http2-features.js';
export type {
  InformationalHeaders,
  RequestBodySource,
  ResponseCallback,
} from './features/http-features.js';
export { TlsConnectionFeature, TlsHandshakeFeature } from './features/tls-features.js';
export { ServerAddressesFeature } from './features/server-features.js';
