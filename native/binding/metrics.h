// What the core counts, and the table of its limits, as JavaScript values.
#ifndef WH_BINDING_METRICS_H
#define WH_BINDING_METRICS_H

#include <node_api.h>

#include <cstddef>

extern "C" {
#include "windhover.h"
}

// An object with the counters; NULL with an exception pending.
napi_value ToMetrics(napi_env env, const wh_metrics &metrics, size_t pinned);

// limitTable(): [{ name, unit, effect, initial, least, greatest, canBeUnlimited }]; a number that means
// "no limit" is Infinity.
napi_value ListLimits(napi_env env, napi_callback_info info);

// timeouts(): the names of what LaneMetrics.timeouts counts, in its order.
napi_value ListTimeouts(napi_env env, napi_callback_info info);
// floods(): the names of what LaneMetrics.http2Floods counts, in its order.
napi_value ListFloods(napi_env env, napi_callback_info info);

#endif
