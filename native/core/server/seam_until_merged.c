/* Stand-ins for what is built elsewhere at the same time; this file goes when that is merged. */
#include "windhover.h"

#include <stdio.h>

struct wh_tls {
  int unused;
};

int wh_server_listen_with(wh_server *server, const wh_endpoint *endpoint,
                          const wh_listen_options *options, char *message, size_t message_size) {
  return wh_server_listen_gated(server, endpoint, options->gate, message, message_size);
}

int wh_server_set_tls(wh_server *server, uint32_t endpoint_index, wh_tls *tls) {
  (void)server;
  (void)endpoint_index;
  (void)tls;
  return WH_ERR_NOT_SUPPORTED;
}

const wh_filter *wh_server_exchange_filter(wh_server *server, uint32_t slot, uint32_t generation) {
  (void)server;
  (void)slot;
  (void)generation;
  return NULL;
}

int wh_tls_create(const wh_tls_settings *settings, wh_tls **out, char *message, size_t size) {
  (void)settings;
  (void)out;
  snprintf(message, size, "there is no TLS yet");
  return WH_ERR_NOT_SUPPORTED;
}

void wh_tls_release(wh_tls *tls) { (void)tls; }

int wh_tls_set_ticket_keys(wh_tls *tls, const uint8_t *keys, size_t count) {
  (void)tls;
  (void)keys;
  (void)count;
  return WH_ERR_NOT_SUPPORTED;
}

void wh_tls_get_facts(const wh_filter *filter, wh_tls_facts *out) {
  (void)filter;
  (void)out;
}

size_t wh_tls_peer_certificate(const wh_filter *filter, size_t index, uint8_t *out, size_t size) {
  (void)filter;
  (void)index;
  (void)out;
  (void)size;
  return 0;
}

int wh_tls_channel_binding(const wh_filter *filter, uint8_t out[32]) {
  (void)filter;
  (void)out;
  return WH_ERR_NOT_SUPPORTED;
}
