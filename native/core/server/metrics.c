#include "server/metrics.h"

#include <string.h>

#include "server/server_internal.h"

const char *const wh_timeout_names[WH_TIMEOUT_COUNT] = {
#define WH_TIMEOUT_NAME(constant, name) name,
    WH_TIMEOUTS(WH_TIMEOUT_NAME)
#undef WH_TIMEOUT_NAME
};

void wh_server_metrics(const wh_server *server, wh_metrics *out) {
  memset(out, 0, sizeof *out);
  const wh_http_service *service = &server->service;
  out->connections = server->outbox.count - server->admission.rejecting;
  out->rejected_connections = server->admission.rejected;
  out->refused_connections = server->admission.refused;
  out->accept_pauses = server->admission.pauses;
  out->total_connections = server->total_connections;
  out->upgraded_connections = service->upgraded;
  out->requests = service->requests;
  out->active_requests = wh_exchange_pool_in_use(server->pool);
  out->answers = service->answers;
  for (size_t i = 0; i < WH_REFUSAL_COUNT; i++) out->refused += service->refusals[i];
  out->bytes_received = server->outbox.bytes_received;
  out->bytes_sent = server->outbox.bytes_sent;
  out->batches = server->batches;
  memcpy(out->refusals, service->refusals, sizeof out->refusals);
  memcpy(out->statuses, service->statuses, sizeof out->statuses);
  memcpy(out->timeouts, server->timeouts, sizeof out->timeouts);
  out->http2_connections = server->http2_connections;
  memcpy(out->http2_floods, wh_http2_floods(service), sizeof out->http2_floods);
  out->tls = server->tls;
  out->receiving = service->receiving;
  out->queueing = server->queueing;
  out->latency = service->latency;
}
