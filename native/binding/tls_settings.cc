#include "binding/tls_settings.h"

#include <deque>
#include <string>

#include "binding/call.h"
#include "binding/lane.h"
#include "binding/values.h"

namespace {

// Certificates above a client's: a peer that sends more than that has none of OpenSSL's depth either.
constexpr size_t kMostCertificates = 100;

// Settings on their way to the core; bytes stay in the buffers of JavaScript, which the arguments hold.
class Settings {
public:
  explicit Settings(napi_env e) : env(e) {}
  Settings(const Settings &) = delete;
  Settings &operator=(const Settings &) = delete;
  // Passphrases do not stay in memory.
  ~Settings() {
    for (std::string &text : texts) {
      volatile char *byte = &text[0];
      for (size_t i = 0; i < text.size(); i++) byte[i] = 0;
    }
  }

  bool Read(napi_value object) {
    uint32_t count = 0;
    napi_value list;
    if (!List(object, "hosts", &list, &count)) return false;
    hosts.resize(count);
    for (uint32_t i = 0; i < count; i++) {
      napi_value host;
      if (!Element(list, i, &host) || !ReadHost(host, &hosts[i])) return false;
    }
    int64_t protocols = 0, seconds = 0;
    bool tickets = false;
    size_t keys_length = 0;
    if (!ReadInteger(env, object, "protocols", 0, 3, &protocols) ||
        !ReadInteger(env, object, "sessionSeconds", 0, UINT32_MAX, &seconds) ||
        !ReadBoolean(env, object, "tickets", &tickets) ||
        !Text(object, "ciphers", &value.ciphers) ||
        !Text(object, "cipherSuites", &value.cipher_suites) ||
        !Text(object, "groups", &value.groups) ||
        !Bytes(object, "ticketKeys", &value.ticket_keys, &keys_length)) {
      return false;
    }
    value.hosts = hosts.data();
    value.host_count = hosts.size();
    value.protocols = static_cast<unsigned>(protocols);
    value.tickets = tickets;
    value.session_seconds = static_cast<uint32_t>(seconds);
    value.ticket_key_count = keys_length / WH_TLS_TICKET_KEY_SIZE;
    return true;
  }

  wh_tls_settings value = {};

private:
  bool ReadHost(napi_value object, wh_tls_host *out) {
    int64_t protocols = 0, least = 0, greatest = 0, mode = 0;
    bool any = false;
    uint32_t count = 0;
    napi_value list;
    *out = {};
    if (!Text(object, "name", &out->name) ||
        !ReadInteger(env, object, "protocols", 0, 3, &protocols) ||
        !ReadInteger(env, object, "minVersion", 0, UINT16_MAX, &least) ||
        !ReadInteger(env, object, "maxVersion", 0, UINT16_MAX, &greatest) ||
        !ReadInteger(env, object, "clientMode", WH_TLS_CLIENT_NONE, WH_TLS_CLIENT_REQUIRE, &mode) ||
        !ReadBoolean(env, object, "anyClient", &any) ||
        !Bytes(object, "authorities", &out->authorities, &out->authorities_length) ||
        !List(object, "identities", &list, &count)) {
      return false;
    }
    if (out->name == nullptr) return ThrowOption(env, false, "a host of TLS needs a name");
    identities.emplace_back(count);
    std::vector<wh_tls_identity> &own = identities.back();
    for (uint32_t i = 0; i < count; i++) {
      napi_value identity;
      if (!Element(list, i, &identity) || !ReadIdentity(identity, &own[i])) return false;
    }
    out->identities = own.data();
    out->identity_count = own.size();
    out->protocols = static_cast<unsigned>(protocols);
    out->least_version = static_cast<unsigned>(least);
    out->greatest_version = static_cast<unsigned>(greatest);
    out->client_mode = static_cast<int>(mode);
    out->any_client_certificate = any;
    return true;
  }

  bool ReadIdentity(napi_value object, wh_tls_identity *out) {
    *out = {};
    return Bytes(object, "cert", &out->certificate, &out->certificate_length) &&
           Bytes(object, "key", &out->key, &out->key_length) &&
           Bytes(object, "pfx", &out->pfx, &out->pfx_length) &&
           Bytes(object, "ocsp", &out->ocsp, &out->ocsp_length) &&
           Text(object, "passphrase", &out->passphrase);
  }

  // A member that is a list of objects.
  bool List(napi_value object, const char *name, napi_value *out, uint32_t *count) {
    bool is_array = false;
    if (napi_get_named_property(env, object, name, out) != napi_ok) return false;
    if (napi_is_array(env, *out, &is_array) != napi_ok || !is_array) {
      return ThrowOption(env, false, std::string("option 'tls.") + name + "' must be an array");
    }
    return napi_get_array_length(env, *out, count) == napi_ok;
  }

  bool Element(napi_value list, uint32_t i, napi_value *out) {
    napi_valuetype type;
    if (napi_get_element(env, list, i, out) != napi_ok) return false;
    if (napi_typeof(env, *out, &type) == napi_ok && type == napi_object) return true;
    return ThrowOption(env, false, "the lists of 'tls' must have objects");
  }

  // A member that is text, nullptr where there is none.
  bool Text(napi_value object, const char *name, const char **out) {
    std::string text;
    bool present = false;
    *out = nullptr;
    if (!ReadString(env, object, name, &text, &present)) return false;
    if (!present) return true;
    texts.push_back(std::move(text));
    *out = texts.back().c_str();
    return true;
  }

  // A member that is a Uint8Array, nullptr where there is none.
  bool Bytes(napi_value object, const char *name, const uint8_t **out, size_t *length) {
    napi_value member;
    napi_valuetype kind;
    *out = nullptr;
    *length = 0;
    if (napi_get_named_property(env, object, name, &member) != napi_ok ||
        napi_typeof(env, member, &kind) != napi_ok) {
      return false;
    }
    return kind == napi_undefined || ReadBytes(env, member, name, out, length);
  }

public:
  static bool ReadBytes(napi_env env, napi_value array, const char *name, const uint8_t **out,
                        size_t *length) {
    bool is_array = false;
    napi_typedarray_type type;
    void *data = nullptr;
    if (napi_is_typedarray(env, array, &is_array) != napi_ok || !is_array ||
        napi_get_typedarray_info(env, array, &type, length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_uint8_array) {
      return ThrowOption(env, false, std::string("option '") + name + "' must be a Uint8Array");
    }
    *out = static_cast<const uint8_t *>(data);
    return true;
  }

private:
  napi_env env;
  std::vector<wh_tls_host> hosts;
  std::deque<std::vector<wh_tls_identity>> identities; // in place: hosts point at their elements
  std::deque<std::string> texts;                       // likewise
};

bool Create(napi_env env, napi_value object, wh_tls **out) {
  Settings settings(env);
  if (!settings.Read(object)) return false;
  char message[WH_MESSAGE_SIZE] = "";
  const int error = wh_tls_create(&settings.value, out, message, sizeof message);
  if (error == WH_OK) return true;
  const char *why = message[0] != 0 ? message : wh_error_name(error);
  // What was given is wrong: a certificate, a key, a list of ciphers.
  if (error == WH_ERR_INVALID_ARGUMENT) return ThrowOption(env, true, why);
  return Throw(env, error, why);
}

const wh_filter *FilterOf(const Call &call) {
  if (!call.valid || call.lane->server == nullptr) return nullptr;
  return wh_server_exchange_filter(call.lane->server, call.Unsigned(0), call.Unsigned(1));
}

napi_value Null(napi_env env) {
  napi_value result;
  return napi_get_null(env, &result) == napi_ok ? result : nullptr;
}

bool SetBoolean(napi_env env, napi_value object, const char *name, bool boolean) {
  napi_value value;
  return napi_get_boolean(env, boolean, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

} // namespace

void TlsOfEndpoints::Put(uint32_t endpoint, wh_tls *tls) {
  if (endpoint >= contexts.size()) contexts.resize(endpoint + 1, nullptr);
  wh_tls_release(contexts[endpoint]);
  contexts[endpoint] = tls;
}

void TlsOfEndpoints::Clear() {
  for (wh_tls *tls : contexts) wh_tls_release(tls);
  contexts.clear();
}

bool ReadTls(napi_env env, napi_value object, wh_tls **out) {
  napi_value settings;
  napi_valuetype type;
  *out = nullptr;
  if (napi_get_named_property(env, object, "tls", &settings) != napi_ok ||
      napi_typeof(env, settings, &type) != napi_ok) {
    return Throw(env, WH_ERR_INVALID_ARGUMENT, "an endpoint is needed");
  }
  if (type == napi_undefined) return true;
  if (type != napi_object) return ThrowOption(env, false, "option 'tls' must be an object");
  return Create(env, settings, out);
}

napi_value SetTls(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  napi_valuetype type = napi_undefined;
  if (call.count > 1) napi_typeof(env, call.arguments[1], &type);
  const uint32_t endpoint = call.Unsigned(0);
  if (type != napi_object || call.lane->tls.Get(endpoint) == nullptr) {
    ThrowOption(env, false, "an endpoint that speaks TLS and an object of settings are needed");
    return nullptr;
  }
  wh_tls *tls = nullptr;
  if (!Create(env, call.arguments[1], &tls)) return nullptr;
  const int error = wh_server_set_tls(call.lane->server, endpoint, tls);
  if (error == WH_OK) {
    call.lane->tls.Put(endpoint, tls);
  } else {
    wh_tls_release(tls);
    Throw(env, error, "the endpoint cannot get other certificates");
  }
  return nullptr;
}

napi_value SetTicketKeys(napi_env env, napi_callback_info info) {
  Call call(env, info);
  if (!call.Open()) return nullptr;
  wh_tls *tls = call.lane->tls.Get(call.Unsigned(0));
  if (tls == nullptr || call.count < 2) {
    ThrowOption(env, false, "an endpoint that speaks TLS and keys are needed");
    return nullptr;
  }
  const uint8_t *keys = nullptr;
  size_t length = 0;
  if (!Settings::ReadBytes(env, call.arguments[1], "ticketKeys", &keys, &length)) return nullptr;
  if (length == 0 || length % WH_TLS_TICKET_KEY_SIZE != 0) {
    ThrowOption(env, true, "option 'ticketKeys' must have 80 bytes for each key");
    return nullptr;
  }
  const int error = wh_tls_set_ticket_keys(tls, keys, length / WH_TLS_TICKET_KEY_SIZE);
  if (error != WH_OK) Throw(env, error, "the ticket keys cannot be set");
  return nullptr;
}

napi_value ExchangeTls(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const wh_filter *filter = FilterOf(call);
  if (filter == nullptr) return Null(env);
  wh_tls_facts facts;
  wh_tls_get_facts(filter, &facts);
  napi_value result;
  if (napi_create_object(env, &result) != napi_ok ||
      !Set(env, result, "protocol", facts.protocol) || !Set(env, result, "cipher", facts.cipher) ||
      !Set(env, result, "alpn", facts.alpn) || !Set(env, result, "hostName", facts.host_name) ||
      !Set(env, result, "group", facts.group) || !Set(env, result, "bits", facts.cipher_bits) ||
      !SetBoolean(env, result, "resumed", facts.resumed != 0) ||
      !Set(env, result, "verified", facts.verified)) {
    return nullptr;
  }
  return result;
}

napi_value ExchangePeerCertificates(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const wh_filter *filter = FilterOf(call);
  napi_value list;
  if (napi_create_array(env, &list) != napi_ok) return nullptr;
  for (size_t i = 0; filter != nullptr && i < kMostCertificates; i++) {
    const size_t length = wh_tls_peer_certificate(filter, i, nullptr, 0);
    if (length == 0) break;
    void *bytes = nullptr;
    napi_value buffer;
    if (napi_create_buffer(env, length, &bytes, &buffer) != napi_ok) return nullptr;
    wh_tls_peer_certificate(filter, i, static_cast<uint8_t *>(bytes), length);
    if (napi_set_element(env, list, static_cast<uint32_t>(i), buffer) != napi_ok) return nullptr;
  }
  return list;
}

napi_value ExchangeChannelBinding(napi_env env, napi_callback_info info) {
  Call call(env, info);
  const wh_filter *filter = FilterOf(call);
  uint8_t binding[32];
  napi_value buffer;
  if (filter == nullptr || wh_tls_channel_binding(filter, binding) != WH_OK) return Null(env);
  return napi_create_buffer_copy(env, sizeof binding, binding, nullptr, &buffer) == napi_ok
             ? buffer
             : nullptr;
}
