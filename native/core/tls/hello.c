/*
 * The client's greeting: which site it names, what is spoken. The site is chosen before OpenSSL has
 * settled anything, so that the versions, protocols and rules for clients are the site's own.
 */
#include <string.h>

#include "base/memory.h"
#include "tls/tls_internal.h"

#define NAME_MOST 255U

/* --- names --- */

static const tls_site *find_exactly(const wh_tls *tls, const char *name, size_t length) {
  size_t low = 0, high = tls->site_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const char *candidate = tls->sites[middle].name;
    int order = strncmp(name, candidate, length);
    if (order == 0 && candidate[length] == '\0') return &tls->sites[middle];
    if (order > 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

const tls_site *tls_site_find(const wh_tls *tls, const char *name, size_t length) {
  if (length > 0) {
    const tls_site *site = name[0] == '.' ? NULL : find_exactly(tls, name, length);
    /* Suffixes from the longest on. */
    for (size_t at = 1; site == NULL && at < length; at++) {
      if (name[at] == '.') site = find_exactly(tls, name + at, length - at);
    }
    if (site != NULL) return site;
  }
  return tls->sites[0].name[0] == '\0' ? &tls->sites[0] : NULL;
}

/*
 * The name that the client gives, in lower case (RFC 6066, section 3). Its length, 0 where there is
 * none, or -1 if the extension is malformed.
 */
static int read_name(SSL *ssl, char out[NAME_MOST + 1]) {
  const unsigned char *in;
  size_t length;
  if (!wh_openssl.SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &in, &length)) return 0;
  if (length < 5 || (size_t)(in[0] << 8 | in[1]) != length - 2 ||
      in[2] != TLSEXT_NAMETYPE_host_name) {
    return -1;
  }
  size_t size = (size_t)(in[3] << 8 | in[4]);
  if (size != length - 5 || size == 0 || size > NAME_MOST || memchr(in + 5, 0, size) != NULL) {
    return -1;
  }
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = in[5 + i];
    out[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
  }
  out[size] = '\0';
  return (int)size;
}

/* --- the site's rules --- */

static int refuse(tls_filter *filter, int *alert, int which, const char *reason) {
  *alert = which;
  filter->violation = reason;
  return SSL_CLIENT_HELLO_ERROR;
}

static int enter(SSL *ssl, tls_filter *filter, const tls_site *site) {
  filter->site = site;
  tls_log_keys(filter);
  if (site == filter->tls->first) return 1;
  return wh_openssl.SSL_set_SSL_CTX(ssl, site->context) != NULL &&
         wh_openssl.SSL_ctrl(ssl, SSL_CTRL_SET_MIN_PROTO_VERSION, site->least_version, NULL) &&
         wh_openssl.SSL_ctrl(ssl, SSL_CTRL_SET_MAX_PROTO_VERSION, site->greatest_version, NULL) &&
         wh_openssl.SSL_set_session_id_context(ssl, site->session_context,
                                               sizeof site->session_context) &&
         (wh_openssl.SSL_set_verify(ssl, site->verify_mode, tls_verify_callback(site)), 1);
}

int tls_on_client_hello(SSL *ssl, int *alert, void *user) {
  const wh_tls *tls = user;
  tls_filter *filter = tls_filter_of(ssl);
  char name[NAME_MOST + 1];
  int length = read_name(ssl, name);
  if (length < 0) return refuse(filter, alert, SSL_AD_DECODE_ERROR, "malformed server name");
  const tls_site *site = tls_site_find(tls, name, (size_t)length);
  if (site == NULL) {
    return refuse(filter, alert, SSL_AD_UNRECOGNIZED_NAME, "no certificate for this server name");
  }
  /* A second greeting, after a HelloRetryRequest, is for the same. */
  if (filter->site != NULL) {
    if (filter->site == site) return SSL_CLIENT_HELLO_SUCCESS;
    return refuse(filter, alert, SSL_AD_ILLEGAL_PARAMETER, "another server name");
  }
  const unsigned char *ignored;
  size_t ignored_length;
  /* Without ALPN a client means HTTP/1.1 (Kestrel: HTTP/2 over TLS is negotiated or not spoken). */
  if (!(site->protocols & WH_PROTOCOL_HTTP1) &&
      !wh_openssl.SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                            &ignored, &ignored_length)) {
    return refuse(filter, alert, SSL_AD_NO_APPLICATION_PROTOCOL, "no application protocol");
  }
  if (length > 0) {
    filter->server_name = wh_alloc((size_t)length + 1);
    if (filter->server_name == NULL) {
      return refuse(filter, alert, SSL_AD_INTERNAL_ERROR, "out of memory");
    }
    memcpy(filter->server_name, name, (size_t)length + 1);
  }
  if (!enter(ssl, filter, site))
    return refuse(filter, alert, SSL_AD_INTERNAL_ERROR, "out of memory");
  return SSL_CLIENT_HELLO_SUCCESS;
}

/* --- protocols --- */

static int offers(const uint8_t *list, size_t length, const char *name, size_t name_length,
                  const unsigned char **out) {
  for (size_t at = 0; at < length; at += 1U + list[at]) {
    if (list[at] != name_length || length - at - 1 < name_length) continue;
    if (memcmp(list + at + 1, name, name_length) != 0) continue;
    *out = list + at + 1;
    return 1;
  }
  return 0;
}

/* RFC 9113, section 9.2.2: of TLS 1.2 only forward secret AEAD ciphers, which an own list may lack. */
static int fits_http2(const SSL *ssl) {
  if (wh_openssl.SSL_version(ssl) != TLS1_2_VERSION) return 1;
  const SSL_CIPHER *cipher = wh_openssl.SSL_get_pending_cipher(ssl);
  if (cipher == NULL) return 1;
  int exchange = wh_openssl.SSL_CIPHER_get_kx_nid(cipher);
  return wh_openssl.SSL_CIPHER_is_aead(cipher) &&
         (exchange == NID_kx_ecdhe || exchange == NID_kx_dhe);
}

int tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                const unsigned char *in, unsigned in_length, void *user) {
  (void)user;
  tls_filter *filter = tls_filter_of(ssl);
  unsigned protocols = filter->site == NULL ? 0 : filter->site->protocols;
  if (protocols & WH_PROTOCOL_HTTP2 && offers(in, in_length, "h2", 2, out) && fits_http2(ssl)) {
    *out_length = 2;
    return SSL_TLSEXT_ERR_OK;
  }
  if (protocols & WH_PROTOCOL_HTTP1 && offers(in, in_length, "http/1.1", 8, out)) {
    *out_length = 8;
    return SSL_TLSEXT_ERR_OK;
  }
  filter->violation = "no application protocol";
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}
