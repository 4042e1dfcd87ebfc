// What JavaScript sees of the addon: `create` makes a lane and gives an object with its functions and
// its shared memory. lib/native/ is the only caller.
#include <node_api.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <new>

#include "binding/call.h"
#include "binding/lane.h"
#include "binding/metrics.h"
#include "binding/origins.h"
#include "binding/refusals.h"
#include "binding/tls_settings.h"
#include "binding/values.h"
#include "binding/watched.h"

namespace {

// intern(slab, offset, length): see Interned::Find.
napi_value Intern(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.valid) return nullptr;
  uint32_t slab = call.Unsigned(0), offset = call.Unsigned(1), length = call.Unsigned(2);
  int32_t place = INT32_MIN;
  if (slab < call.lane->slabs.size()) {
    const Slab &memory = call.lane->slabs[slab];
    if (memory.memory != nullptr && offset <= memory.size && length <= memory.size - offset) {
      place = call.lane->interned.Find(memory.memory + offset, length);
    }
  }
  napi_value result;
  return napi_create_int32(env, place, &result) == napi_ok ? result : nullptr;
}

// commit(): takes the commands now, because their buffer is full.
napi_value Commit(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_server_commit(call.lane->server);
  call.lane->driver.Schedule(wh_server_timeout(call.lane->server));
  return nullptr;
}

// pin(uint8Array): the number for commands with the flag PINNED.
napi_value Pin(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  bool is_array = false;
  if (call.count < 1 || napi_is_typedarray(env, call.arguments[0], &is_array) != napi_ok ||
      !is_array) {
    ThrowOption(env, false, "a Uint8Array is needed");
    return nullptr;
  }
  int64_t id = call.lane->pins.Add(call.arguments[0]);
  if (id < 0) {
    Throw(env, WH_ERR_NO_MEMORY, "no memory to hold the buffer");
    return nullptr;
  }
  napi_value result;
  return napi_create_int64(env, id, &result) == napi_ok ? result : nullptr;
}

// addFile(descriptor): duplicates it; the number for the command FILE, which must follow at once.
napi_value AddFile(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  int32_t descriptor = -1;
  if (call.count > 0) napi_get_value_int32(env, call.arguments[0], &descriptor);
  int64_t id = call.lane->files.Add(descriptor);
  if (id < 0) {
    const char *code = errno == EMFILE ? "EMFILE" : errno == EBADF ? "EBADF" : "WH_ERR_NO_MEMORY";
    napi_throw_error(env, code, "the file's descriptor cannot be duplicated");
    return nullptr;
  }
  napi_value result;
  return napi_create_int64(env, id, &result) == napi_ok ? result : nullptr;
}

bool ParseEndpoint(napi_env env, napi_value options, wh_endpoint *endpoint, char *message,
                   size_t size, int *error) {
  std::string url, host, path;
  bool has_url, has_host, has_path, reuse_port = false, ipv6_only = false, no_delay = true;
  int64_t fd = -1, port = 0, backlog = WH_BACKLOG_DEFAULT, mode = -1, uid = -1, gid = -1;
  if (!ReadString(env, options, "url", &url, &has_url) ||
      !ReadString(env, options, "host", &host, &has_host) ||
      !ReadString(env, options, "path", &path, &has_path) ||
      !ReadInteger(env, options, "fd", 0, INT32_MAX, &fd) ||
      !ReadInteger(env, options, "port", 0, 65535, &port) ||
      !ReadInteger(env, options, "backlog", 1, 65535, &backlog) ||
      !ReadInteger(env, options, "unixMode", 0, 0777, &mode) ||
      !ReadInteger(env, options, "unixUid", 0, UINT32_MAX, &uid) ||
      !ReadInteger(env, options, "unixGid", 0, UINT32_MAX, &gid) ||
      !ReadBoolean(env, options, "reusePort", &reuse_port) ||
      !ReadBoolean(env, options, "ipv6Only", &ipv6_only) ||
      !ReadBoolean(env, options, "noDelay", &no_delay)) {
    return false;
  }
  if (has_url + has_host + has_path + (fd >= 0) != 1) {
    return ThrowOption(env, false,
                       "an endpoint needs exactly one of 'url', 'host', 'path' and 'fd'");
  }
  if (has_url)
    *error = wh_endpoint_parse_url(url.data(), url.size(), endpoint, message, size);
  else if (fd >= 0)
    *error = wh_endpoint_from_descriptor(static_cast<int>(fd), endpoint, message, size);
  else if (has_path)
    *error = wh_endpoint_from_path(path.data(), path.size(), endpoint, message, size);
  else {
    *error = wh_endpoint_parse_host(host.data(), host.size(), static_cast<long>(port), endpoint,
                                    message, size);
  }
  endpoint->backlog = static_cast<int>(backlog);
  endpoint->unix_mode = static_cast<int>(mode);
  endpoint->unix_uid = uid;
  endpoint->unix_gid = gid;
  endpoint->reuse_port = reuse_port;
  endpoint->ipv6_only = ipv6_only;
  endpoint->no_delay = no_delay;
  return true;
}

// listen(endpoint): binds; throws an Error whose code is the wh_error's name.
napi_value Listen(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  char message[WH_MESSAGE_SIZE] = "";
  wh_endpoint endpoint;
  wh_gate gate = {};
  int error = WH_OK;
  wh_endpoint_init(&endpoint);
  if (call.count < 1 ||
      !ParseEndpoint(env, call.arguments[0], &endpoint, message, sizeof message, &error)) {
    Throw(env, WH_ERR_INVALID_ARGUMENT, "an endpoint is needed");
    return nullptr;
  }
  bool is_gated = false;
  int64_t protocols = 0;
  wh_tls *tls = nullptr;
  if (error == WH_OK && (!ReadInteger(env, call.arguments[0], "protocols", 0, 3, &protocols) ||
                         !ReadTls(env, call.arguments[0], &tls))) {
    return nullptr;
  }
  if (error == WH_OK && !ReadGate(env, call.arguments[0], &gate, &is_gated)) {
    wh_tls_release(tls);
    return nullptr;
  }
  if (error == WH_OK) {
    const wh_listen_options options = {is_gated ? &gate : nullptr, tls,
                                       static_cast<unsigned>(protocols)};
    endpoint.https = tls != nullptr; // what its URL says
    error = wh_server_listen(call.lane->server, &endpoint, &options, message, sizeof message);
  }
  if (error == WH_OK)
    call.lane->tls.Put(call.lane->endpoints++, tls);
  else
    wh_tls_release(tls);
  if (error != WH_OK) wh_gate_free(&gate);
  if (error != WH_OK) Throw(env, error, message[0] != 0 ? message : wh_error_name(error));
  return nullptr;
}

// urls(): the addresses really bound.
napi_value Urls(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  char url[WH_ENDPOINT_TEXT_SIZE];
  for (uint32_t i = 0;; i++) {
    napi_value text;
    if (wh_server_url(call.lane->server, i, url, sizeof url) == 0) return list;
    if (napi_create_string_utf8(env, url, NAPI_AUTO_LENGTH, &text) != napi_ok ||
        napi_set_element(env, list, i, text) != napi_ok) {
      return nullptr;
    }
  }
}

// addresses(slot, generation, ofSocket): [remote address, remote port, local address, local port], or
// null. ofSocket: not what a PROXY header told.
napi_value Addresses(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.valid) return nullptr;
  wh_address ends[2];
  napi_value result;
  const auto ask = call.Boolean(2) ? wh_server_exchange_transport : wh_server_exchange_addresses;
  if (call.lane->server == nullptr ||
      ask(call.lane->server, call.Unsigned(0), call.Unsigned(1), &ends[0], &ends[1]) != WH_OK) {
    return napi_get_null(env, &result) == napi_ok ? result : nullptr;
  }
  if (napi_create_array_with_length(env, 4, &result) != napi_ok) return nullptr;
  return SetEnds(env, result, 0, ends[0], ends[1]) ? result : nullptr;
}

napi_value Metrics(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_metrics metrics;
  wh_server_metrics(call.lane->server, &metrics);
  return ToMetrics(env, metrics, call.lane->pins.Count());
}

napi_value StopListening(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_server_stop_listening(call.lane->server);
  call.lane->driver.Schedule(0);
  return nullptr;
}

// stop(window): see wh_server_stop; onDrained is called once no listener and no connection is left.
napi_value Stop(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_server_stop(call.lane->server, call.Unsigned(0));
  call.lane->watch_drained = true;
  call.lane->driver.Schedule(0);
  return nullptr;
}

napi_value Abort(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_server_abort(call.lane->server);
  call.lane->driver.Schedule(0);
  return nullptr;
}

napi_value Close(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.valid) call.lane->Close();
  return nullptr;
}

// keepAlive(on): whether Node's loop stays alive for this server.
napi_value KeepAlive(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (call.Open()) call.lane->driver.Reference(call.Boolean(0));
  return nullptr;
}

// Adds a function that belongs to the lane, and keeps the lane as long as JavaScript has the function.
bool AddFunction(napi_env env, napi_value object, const char *name, napi_callback callback,
                 Lane *lane) {
  napi_value function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, lane, &function) != napi_ok)
    return false;
  lane->Retain();
  if (napi_add_finalizer(
          env, function, lane,
          [](napi_env, void *data, void *) { static_cast<Lane *>(data)->Release(); }, nullptr,
          nullptr) != napi_ok) {
    lane->Release();
    return false;
  }
  return napi_set_named_property(env, object, name, function) == napi_ok;
}

// checkOptions(options): throws where create would, for a bad option.
napi_value CheckOptions(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_valuetype type = napi_undefined;
  wh_limits limits;
  int64_t busy_poll = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok) return nullptr;
  if (count > 0) napi_typeof(env, argument, &type);
  if (type != napi_object)
    ThrowOption(env, false, "an object of options is needed");
  else if (ReadLimits(env, argument, &limits))
    ReadBusyPoll(env, argument, &busy_poll);
  return nullptr;
}

// create(options, handlers)
napi_value Create(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2], result;
  napi_valuetype types[2] = {napi_undefined, napi_undefined};
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok) return nullptr;
  for (size_t i = 0; i < 2 && i < count; i++) napi_typeof(env, arguments[i], &types[i]);
  if (types[0] != napi_object || types[1] != napi_object) {
    ThrowOption(env, false, "create needs an object of options and one of handlers");
    return nullptr;
  }
  Lane *lane = new (std::nothrow) Lane(env);
  if (lane == nullptr || napi_create_object(env, &result) != napi_ok) {
    delete lane;
    Throw(env, WH_ERR_NO_MEMORY, "no memory for a server");
    return nullptr;
  }
  static const struct {
    const char *name;
    napi_callback callback;
  } functions[] = {
      {"intern", Intern},
      {"commit", Commit},
      {"pin", Pin},
      {"addFile", AddFile},
      {"listen", Listen},
      {"urls", Urls},
      {"addresses", Addresses},
      {"stop", Stop},
      {"stopListening", StopListening},
      {"abort", Abort},
      {"close", Close},
      {"keepAlive", KeepAlive},
      {"metrics", Metrics},
      {"connection", WatchedConnection},
      {"forgetConnection", ForgetConnection},
      {"decideConnection", DecideConnection},
      {"nextBytes", NextBytes},
      {"setTls", SetTls},
      {"setTicketKeys", SetTicketKeys},
      {"exchangeTls", ExchangeTls},
      {"exchangePeerCertificates", ExchangePeerCertificates},
      {"exchangeChannelBinding", ExchangeChannelBinding},
  };
  bool made = lane->Open(arguments[0], arguments[1], result);
  for (const auto &entry : functions) {
    if (made) made = AddFunction(env, result, entry.name, entry.callback, lane);
  }
  if (!made) {
    Throw(env, WH_ERR_NO_MEMORY, "no memory for a server");
    lane->Close();
  }
  lane->Release();
  return made ? result : nullptr;
}

} // namespace

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback callback;
  } exported[] = {{"create", Create},
                  {"checkOptions", CheckOptions},
                  {"refusals", ListRefusals},
                  {"limitTable", ListLimits},
                  {"timeouts", ListTimeouts},
                  {"floods", ListFloods},
                  {"symbolOrigins", SymbolOrigins}};
  for (const auto &entry : exported) {
    napi_value function;
    if (napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.callback, nullptr,
                             &function) != napi_ok ||
        napi_set_named_property(env, exports, entry.name, function) != napi_ok) {
      return nullptr;
    }
  }
  return exports;
}
