#include "binding/watched.h"

#include <cstring>

#include "binding/call.h"
#include "binding/lane.h"
#include "binding/values.h"

namespace {

// A list of networks, written with blanks between them.
bool ReadNetworks(napi_env env, napi_value options, const char *name, const char *shown,
                  wh_networks *out, bool *present) {
  std::string text;
  if (!ReadString(env, options, name, &text, present)) return false;
  if (!*present) return true;
  const char *bad, *why;
  size_t bad_length;
  const int error = wh_networks_parse(text.data(), text.size(), out, &bad, &bad_length, &why);
  if (error == WH_OK) return true;
  if (error != WH_ERR_ADDRESS_INVALID) return Throw(env, error, why);
  return ThrowOption(env, true,
                     std::string("option '") + shown + "' has the entry '" +
                         std::string(bad, bad_length) + "': " + why);
}

bool SetDouble(napi_env env, napi_value list, uint32_t i, double value) {
  napi_value number;
  return napi_create_double(env, value, &number) == napi_ok &&
         napi_set_element(env, list, i, number) == napi_ok;
}

} // namespace

bool ReadGate(napi_env env, napi_value options, wh_gate *out, bool *present) {
  bool reads_proxy, has_allow, has_deny, requires_proxy = false;
  bool watched = false, asks = false, bytes = false;
  if (!ReadNetworks(env, options, "proxies", "proxyProtocol.trusted", &out->proxies,
                    &reads_proxy) ||
      !ReadNetworks(env, options, "allow", "allow", &out->allow, &has_allow) ||
      !ReadNetworks(env, options, "deny", "deny", &out->deny, &has_deny) ||
      !ReadBoolean(env, options, "requiresProxy", &requires_proxy) ||
      !ReadBoolean(env, options, "watched", &watched) ||
      !ReadBoolean(env, options, "asks", &asks) || !ReadBoolean(env, options, "bytes", &bytes)) {
    wh_gate_free(out);
    return false;
  }
  out->reads_proxy = reads_proxy;
  out->requires_proxy = requires_proxy;
  out->has_allow = has_allow;
  out->watched = watched || asks || bytes;
  out->asks = asks;
  out->bytes = bytes;
  *present = reads_proxy || has_allow || has_deny || out->watched;
  return true;
}

bool SetEnds(napi_env env, napi_value list, uint32_t first, const wh_address &peer,
             const wh_address &local) {
  const wh_address *ends[] = {&peer, &local};
  for (const wh_address *end : ends) {
    char text[WH_ADDRESS_TEXT_SIZE];
    wh_address_format(end, text, sizeof text);
    napi_value address;
    if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &address) != napi_ok ||
        napi_set_element(env, list, first, address) != napi_ok ||
        !SetDouble(env, list, first + 1, end->port)) {
      return false;
    }
    first += 2;
  }
  return true;
}

napi_value WatchedConnection(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_connection_facts facts;
  napi_value list;
  if (wh_server_connection(call.lane->server, call.Unsigned(0), &facts) != WH_OK) {
    return napi_get_null(env, &list) == napi_ok ? list : nullptr;
  }
  const double numbers[] = {
      static_cast<double>(facts.number),      static_cast<double>(facts.endpoint),
      static_cast<double>(facts.is_open),     static_cast<double>(facts.reason),
      static_cast<double>(facts.duration_ms), static_cast<double>(facts.bytes_received),
      static_cast<double>(facts.bytes_sent),  static_cast<double>(facts.requests)};
  if (napi_create_array_with_length(env, 16, &list) != napi_ok) return nullptr;
  uint32_t i = 0;
  for (double number : numbers) {
    if (!SetDouble(env, list, i++, number)) return nullptr;
  }
  if (!SetEnds(env, list, 8, facts.peer, facts.local) ||
      !SetEnds(env, list, 12, facts.socket_peer, facts.socket_local)) {
    return nullptr;
  }
  return list;
}

napi_value ForgetConnection(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_server_forget_connection(call.lane->server, call.Unsigned(0));
  call.lane->driver.Schedule(wh_server_timeout(call.lane->server));
  return nullptr;
}

napi_value DecideConnection(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_server_decide(call.lane->server, call.Unsigned(0), call.Boolean(1));
  call.lane->driver.Schedule(wh_server_timeout(call.lane->server));
  return nullptr;
}

napi_value NextBytes(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  napi_value result = nullptr;
  wh_bytes *bytes = wh_server_next_bytes(call.lane->server);
  if (bytes == nullptr) return napi_get_null(env, &result) == napi_ok ? result : nullptr;
  void *memory = nullptr;
  if (napi_create_arraybuffer(env, bytes->length, &memory, &result) == napi_ok) {
    std::memcpy(memory, bytes->data, bytes->length);
  } else {
    result = nullptr;
  }
  wh_bytes_free(bytes);
  return result;
}
