/*
 * What OpenSSL reads from and writes to: a BIO over the bytes that came from the wire, where they
 * stand, and over the outbox's wire buffer. There is nothing between them.
 *
 * Retrying is set once and for all: writes never want to be retried, and a read that finds nothing
 * always does.
 */
#include <string.h>

#include "tls/tls_internal.h"

/* Steps of messages that are no data (a key update is three) before the connection is a nuisance. */
#define MOST_CONTROLS 128

/* TLS 1.3's encrypted extensions, by SSL_state_string: the numbers of states differ between versions. */
#define SENDS_EXTENSIONS "TWEE"

static int wire_read(BIO *bio, char *out, size_t size, size_t *got) {
  tls_filter *filter = wh_openssl.BIO_get_data(bio);
  if (filter->source_length == 0 || filter->violation != NULL) {
    filter->starved = 1;
    *got = 0;
    return -1;
  }
  size_t length = size < filter->source_length ? size : filter->source_length;
  memcpy(out, filter->source, length);
  filter->source += length;
  filter->source_length -= length;
  *got = length;
  return 1;
}

static int wire_write(BIO *bio, const char *data, size_t length, size_t *taken) {
  tls_filter *filter = wh_openssl.BIO_get_data(bio);
  uint8_t *out = filter->wire == NULL ? NULL : wh_wire_reserve(filter->wire, length);
  if (out == NULL) {
    filter->no_memory = 1;
    *taken = 0;
    return -1;
  }
  memcpy(out, data, length);
  filter->wire->used += length;
  *taken = length;
  return 1;
}

/* kTLS is among what is answered with no: node's OpenSSL is built without it (OPENSSL_NO_KTLS). */
static long wire_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_wire_method(void) {
  BIO_METHOD *method = wh_openssl.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "windhover's wire");
  if (method == NULL) return NULL;
  if (wh_openssl.BIO_meth_set_read_ex(method, wire_read) &&
      wh_openssl.BIO_meth_set_write_ex(method, wire_write) &&
      wh_openssl.BIO_meth_set_ctrl(method, wire_control)) {
    return method;
  }
  wh_openssl.BIO_meth_free(method);
  return NULL;
}

int tls_wire_open(tls_filter *filter) {
  SSL *ssl = wh_openssl.SSL_new(filter->tls->first->context);
  if (ssl == NULL) return WH_ERR_NO_MEMORY;
  BIO *bio = wh_openssl.BIO_new(filter->tls->wire);
  if (bio == NULL || !wh_openssl.SSL_set_ex_data(ssl, 0, filter)) {
    wh_openssl.BIO_free(bio);
    wh_openssl.SSL_free(ssl);
    return WH_ERR_NO_MEMORY;
  }
  wh_openssl.BIO_set_data(bio, filter);
  wh_openssl.BIO_set_init(bio, 1);
  wh_openssl.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
  wh_openssl.SSL_set_bio(ssl, bio, bio);
  wh_openssl.SSL_set_accept_state(ssl);
  filter->ssl = ssl;
  return WH_OK;
}

/* OpenSSL lets a peer update keys and ask for renegotiation as often as it likes. */
static void violate(tls_filter *filter, const SSL *ssl, const char *reason) {
  if (filter->violation != NULL) return;
  filter->violation = reason;
  /* What is already read is thrown away rather than worked on. */
  wh_openssl.SSL_set_shutdown((SSL *)ssl, SSL_RECEIVED_SHUTDOWN);
}

void tls_on_info(const SSL *ssl, int where, int value) {
  tls_filter *filter = tls_filter_of(ssl);
  if (filter == NULL) return;
  if (filter->phase == TLS_HANDSHAKING && where == SSL_CB_ACCEPT_LOOP && !filter->secrets_come &&
      filter->site != NULL && strcmp(wh_openssl.SSL_state_string(ssl), SENDS_EXTENSIONS) == 0) {
    filter->secrets_come = 1;
    tls_log_keys(filter);
  }
  if (filter->phase != TLS_OPEN) return;
  if (where == SSL_CB_READ_ALERT && (value & 0xff) == SSL_AD_CLOSE_NOTIFY) {
    filter->notified = 1;
  } else if (where == SSL_CB_WRITE_ALERT && (value & 0xff) == SSL_AD_NO_RENEGOTIATION) {
    violate(filter, ssl, "renegotiation");
  } else if (where == SSL_CB_ACCEPT_LOOP && ++filter->controls > MOST_CONTROLS) {
    violate(filter, ssl, "too many messages without data");
  }
}
