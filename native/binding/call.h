// One call from JavaScript: the lane that the function belongs to, and the arguments.
#ifndef WH_BINDING_CALL_H
#define WH_BINDING_CALL_H

#include <node_api.h>

#include "binding/lane.h"
#include "binding/values.h"

constexpr size_t kMostArguments = 3;

struct Call {
  napi_env env;
  Lane *lane;
  size_t count = kMostArguments;
  napi_value arguments[kMostArguments];
  bool valid;

  Call(napi_env e, napi_callback_info info) : env(e) {
    void *data = nullptr;
    valid = napi_get_cb_info(e, info, &count, arguments, nullptr, &data) == napi_ok;
    lane = static_cast<Lane *>(data);
  }
  // Whether the server is still there; throws if not.
  bool Open() {
    if (valid && lane->server != nullptr) return true;
    Throw(env, WH_ERR_CLOSED, "the server is closed");
    return false;
  }
  uint32_t Unsigned(size_t i) const {
    uint32_t value = 0;
    if (i < count) napi_get_value_uint32(env, arguments[i], &value);
    return value;
  }
  bool Boolean(size_t i) const {
    bool value = false;
    if (i < count) napi_get_value_bool(env, arguments[i], &value);
    return value;
  }
};

#endif
