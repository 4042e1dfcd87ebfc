// TLS between JavaScript and the core: what endpoints present, and what is known of a connection's.
#ifndef WH_BINDING_TLS_SETTINGS_H
#define WH_BINDING_TLS_SETTINGS_H

#include <node_api.h>

#include <cstdint>
#include <vector>

extern "C" {
#include "tls/tls.h"
}

// What each endpoint of a lane presents now, by the endpoint's number; one reference each.
class TlsOfEndpoints {
public:
  ~TlsOfEndpoints() { Clear(); }
  // Takes over the caller's reference.
  void Put(uint32_t endpoint, wh_tls *tls);
  wh_tls *Get(uint32_t endpoint) const {
    return endpoint < contexts.size() ? contexts[endpoint] : nullptr;
  }
  void Clear();

private:
  std::vector<wh_tls *> contexts;
};

// Makes what the member `tls` of an object describes; *out is nullptr where there is none. The caller
// owns the reference. False with an exception pending.
bool ReadTls(napi_env env, napi_value object, wh_tls **out);

// setTls(endpoint, tls): what new connections of it get.
napi_value SetTls(napi_env env, napi_callback_info info);
// setTicketKeys(endpoint, keys)
napi_value SetTicketKeys(napi_env env, napi_callback_info info);
// exchangeTls(slot, generation): an object with what is known, or null.
napi_value ExchangeTls(napi_env env, napi_callback_info info);
// exchangePeerCertificates(slot, generation): Buffers.
napi_value ExchangePeerCertificates(napi_env env, napi_callback_info info);
// exchangeChannelBinding(slot, generation): a Buffer or null.
napi_value ExchangeChannelBinding(napi_env env, napi_callback_info info);

#endif
