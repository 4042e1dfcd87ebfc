/* What is known of a connection's TLS once it is settled. */
#include <string.h>

#include "tls/tls_internal.h"

static const tls_filter *facts_of(const wh_filter *filter) { return (const tls_filter *)filter; }

void wh_tls_get_facts(const wh_filter *filter, wh_tls_facts *out) {
  const tls_filter *own = facts_of(filter);
  SSL *ssl = own->ssl;
  memset(out, 0, sizeof *out);
  out->protocol = out->cipher = out->alpn = out->group = "";
  out->host_name = own->server_name == NULL ? "" : own->server_name;
  out->verified = -1;
  if (ssl == NULL || own->phase == TLS_HANDSHAKING) return;
  out->protocol = wh_openssl.SSL_get_version(ssl);
  const SSL_CIPHER *cipher = wh_openssl.SSL_get_current_cipher(ssl);
  if (cipher != NULL) {
    out->cipher = wh_openssl.SSL_CIPHER_get_name(cipher);
    out->cipher_bits = wh_openssl.SSL_CIPHER_get_bits(cipher, NULL);
  }
  const unsigned char *name;
  unsigned length;
  wh_openssl.SSL_get0_alpn_selected(ssl, &name, &length);
  out->alpn = length == 2 ? "h2" : length == 8 ? "http/1.1" : "";
  long group = wh_openssl.SSL_ctrl(ssl, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, NULL);
  const char *group_name = group <= 0 ? NULL : wh_openssl.SSL_group_to_name(ssl, (int)group);
  if (group_name != NULL) out->group = group_name;
  out->resumed = wh_openssl.SSL_session_reused(ssl) != 0;
  if (wh_openssl.SSL_get0_peer_certificate(ssl) != NULL) {
    out->verified = wh_openssl.SSL_get_verify_result(ssl) == X509_V_OK;
  }
  wh_openssl.ERR_clear_error();
}

size_t wh_tls_peer_certificate(const wh_filter *filter, size_t index, uint8_t *out, size_t size) {
  SSL *ssl = facts_of(filter)->ssl;
  if (ssl == NULL) return 0;
  /* As verified; or as the client sent it, where nobody could: then its own stands apart. */
  const STACK_OF(X509) *chain = wh_openssl.SSL_get0_verified_chain(ssl);
  size_t apart = 0;
  if (tls_certificate_count(chain) == 0) {
    chain = wh_openssl.SSL_get_peer_cert_chain(ssl);
    apart = 1;
  }
  X509 *certificate = NULL;
  if (index == 0)
    certificate = wh_openssl.SSL_get0_peer_certificate(ssl);
  else if (index - apart < (size_t)tls_certificate_count(chain))
    certificate = tls_certificate_at(chain, (int)(index - apart));
  if (certificate == NULL) return 0;
  int length = wh_openssl.i2d_X509(certificate, NULL);
  if (length > 0 && (size_t)length <= size) {
    unsigned char *at = out;
    length = wh_openssl.i2d_X509(certificate, &at);
  }
  wh_openssl.ERR_clear_error();
  return length <= 0 ? 0 : (size_t)length;
}

int wh_tls_channel_binding(const wh_filter *filter, uint8_t out[32]) {
  static const char label[] = "EXPORTER-Channel-Binding";
  const tls_filter *own = facts_of(filter);
  if (own->ssl == NULL || own->phase == TLS_HANDSHAKING) return WH_ERR_NOT_SUPPORTED;
  /* RFC 9266, section 4: of TLS 1.2 only where the master secret is bound to the handshake. */
  if (wh_openssl.SSL_version(own->ssl) < TLS1_3_VERSION &&
      wh_openssl.SSL_ctrl(own->ssl, SSL_CTRL_GET_EXTMS_SUPPORT, 0, NULL) != 1) {
    return WH_ERR_NOT_SUPPORTED;
  }
  int done = wh_openssl.SSL_export_keying_material(own->ssl, out, 32, label, sizeof label - 1,
                                                   (const unsigned char *)"", 0, 1);
  wh_openssl.ERR_clear_error();
  return done == 1 ? WH_OK : WH_ERR_NO_MEMORY;
}
