#include "binding/metrics.h"

#include <cmath>

#include "binding/values.h"

namespace {

bool Set(napi_env env, napi_value object, const char *name, uint64_t number) {
  return Set(env, object, name, static_cast<double>(number));
}

// A Float64Array: one value for JavaScript, however many numbers there are.
bool Set(napi_env env, napi_value object, const char *name, const uint64_t *values, size_t count) {
  void *memory = nullptr;
  napi_value buffer, array;
  if (napi_create_arraybuffer(env, count * sizeof(double), &memory, &buffer) != napi_ok ||
      napi_create_typedarray(env, napi_float64_array, count, buffer, 0, &array) != napi_ok) {
    return false;
  }
  double *numbers = static_cast<double *>(memory);
  for (size_t i = 0; i < count; i++) numbers[i] = static_cast<double>(values[i]);
  return napi_set_named_property(env, object, name, array) == napi_ok;
}

bool Set(napi_env env, napi_value object, const char *counts, const char *sum,
         const wh_histogram &histogram) {
  return Set(env, object, counts, histogram.counts, WH_LATENCY_BUCKETS) &&
         Set(env, object, sum, histogram.sum);
}

double OrInfinity(int64_t value) {
  return value == WH_UNLIMITED ? HUGE_VAL : static_cast<double>(value);
}

} // namespace

napi_value ToMetrics(napi_env env, const wh_metrics &metrics, size_t pinned) {
  napi_value object;
  uint64_t bounds[WH_LATENCY_BUCKETS];
  for (size_t i = 0; i < WH_LATENCY_BUCKETS; i++) bounds[i] = wh_latency_bucket_limit(i);
  if (napi_create_object(env, &object) != napi_ok ||
      !Set(env, object, "connections", metrics.connections) ||
      !Set(env, object, "totalConnections", metrics.total_connections) ||
      !Set(env, object, "rejectedConnections", metrics.rejected_connections) ||
      !Set(env, object, "refusedConnections", metrics.refused_connections) ||
      !Set(env, object, "acceptPauses", metrics.accept_pauses) ||
      !Set(env, object, "upgradedConnections", metrics.upgraded_connections) ||
      !Set(env, object, "requests", metrics.requests) ||
      !Set(env, object, "activeRequests", metrics.active_requests) ||
      !Set(env, object, "answers", metrics.answers) ||
      !Set(env, object, "refused", metrics.refused) ||
      !Set(env, object, "bytesReceived", metrics.bytes_received) ||
      !Set(env, object, "bytesSent", metrics.bytes_sent) ||
      !Set(env, object, "batches", metrics.batches) ||
      !Set(env, object, "pinnedBuffers", static_cast<uint64_t>(pinned)) ||
      !Set(env, object, "refusals", metrics.refusals, WH_REFUSAL_COUNT) ||
      !Set(env, object, "statuses", metrics.statuses, WH_STATUS_LIMIT) ||
      !Set(env, object, "timeouts", metrics.timeouts, WH_TIMEOUT_COUNT) ||
      !Set(env, object, "http2Connections", metrics.http2_connections) ||
      !Set(env, object, "http2Floods", metrics.http2_floods, WH_HTTP2_FLOOD_COUNT) ||
      !Set(env, object, "tlsHandshakes", metrics.tls.handshakes) ||
      !Set(env, object, "tlsResumed", metrics.tls.resumed) ||
      !Set(env, object, "tlsFailed", metrics.tls.failed) ||
      !Set(env, object, "tlsActive", metrics.tls.active) ||
      !Set(env, object, "tlsCounts", "tlsSum", metrics.tls.duration) ||
      !Set(env, object, "bounds", bounds, WH_LATENCY_BUCKETS) ||
      !Set(env, object, "receivingCounts", "receivingSum", metrics.receiving) ||
      !Set(env, object, "queueingCounts", "queueingSum", metrics.queueing) ||
      !Set(env, object, "latencyCounts", "latencySum", metrics.latency)) {
    return nullptr;
  }
  return object;
}

napi_value ListLimits(napi_env env, napi_callback_info) {
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  for (uint32_t i = 0; i < wh_limit_table_length; i++) {
    const wh_limit_row &row = wh_limit_table[i];
    napi_value entry, open;
    if (napi_create_object(env, &entry) != napi_ok ||
        napi_get_boolean(env, row.can_be_unlimited != 0, &open) != napi_ok ||
        !Set(env, entry, "name", row.name) || !Set(env, entry, "unit", row.unit) ||
        !Set(env, entry, "effect", row.effect) ||
        !Set(env, entry, "initial", OrInfinity(row.initial)) ||
        !Set(env, entry, "least", OrInfinity(row.least)) ||
        !Set(env, entry, "greatest", OrInfinity(row.greatest)) ||
        napi_set_named_property(env, entry, "canBeUnlimited", open) != napi_ok ||
        napi_set_element(env, list, i, entry) != napi_ok) {
      return nullptr;
    }
  }
  return list;
}

static napi_value ListNames(napi_env env, const char *const *names, size_t count) {
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  for (uint32_t i = 0; i < count; i++) {
    napi_value name;
    if (napi_create_string_utf8(env, names[i], NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_set_element(env, list, i, name) != napi_ok) {
      return nullptr;
    }
  }
  return list;
}

napi_value ListTimeouts(napi_env env, napi_callback_info) {
  return ListNames(env, wh_timeout_names, WH_TIMEOUT_COUNT);
}

napi_value ListFloods(napi_env env, napi_callback_info) {
  return ListNames(env, wh_http2_flood_names, WH_HTTP2_FLOOD_COUNT);
}
