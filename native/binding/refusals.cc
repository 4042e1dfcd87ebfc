#include "binding/refusals.h"

#include <string>

#include "binding/values.h"

napi_value ListRefusals(napi_env env, napi_callback_info) {
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  for (uint32_t i = 1; i < WH_REFUSAL_COUNT; i++) {
    const wh_refusal_row &row = wh_refusal_table[i];
    napi_value entry;
    if (napi_create_object(env, &entry) != napi_ok ||
        !Set(env, entry, "number", static_cast<double>(i)) ||
        !Set(env, entry, "reason", row.name) ||
        !Set(env, entry, "status", static_cast<double>(row.status)) ||
        !Set(env, entry, "detail", row.text) ||
        napi_set_element(env, list, i - 1, entry) != napi_ok) {
      return nullptr;
    }
  }
  return list;
}

bool ReadRefusals(napi_env env, napi_value options, wh_server *server) {
  napi_value list;
  bool is_list = false;
  uint32_t count = 0;
  if (napi_get_named_property(env, options, "refusals", &list) != napi_ok ||
      napi_is_array(env, list, &is_list) != napi_ok) {
    return false;
  }
  if (!is_list) return true;
  if (napi_get_array_length(env, list, &count) != napi_ok) return false;
  for (uint32_t i = 0; i < count; i++) {
    napi_value entry;
    int64_t number = 0;
    std::string head, body;
    bool has_head = false, has_body = false;
    if (napi_get_element(env, list, i, &entry) != napi_ok ||
        !ReadInteger(env, entry, "number", 1, WH_REFUSAL_COUNT - 1, &number) ||
        !ReadString(env, entry, "head", &head, &has_head) ||
        !ReadString(env, entry, "body", &body, &has_body)) {
      return false;
    }
    int error = wh_server_set_refusal(server, static_cast<unsigned>(number), head.data(),
                                      head.size(), body.data(), body.size());
    if (error != WH_OK) return Throw(env, error, "cannot prepare the answers to refused requests");
  }
  return true;
}
