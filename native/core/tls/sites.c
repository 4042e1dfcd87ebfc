/* What a host of an endpoint presents: its SSL_CTX and what OpenSSL does not keep there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tls/tls_internal.h"

/*
 * Forward secrecy and AEAD only, so that nothing of RFC 9113 appendix A is among them; AES-128-GCM
 * first, which costs processors with AES instructions least. TLS 1.2, then TLS 1.3.
 */
#define DEFAULT_CIPHERS                                        \
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
  "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define DEFAULT_CIPHER_SUITES \
  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define DEFAULT_GROUPS "X25519:P-256:P-384"
#define DEFAULT_SESSION_SECONDS 7200U /* source: OpenSSL's own for TLS */
#define MOST_SESSION_SECONDS 604800U  /* source: RFC 8446, section 4.6.1 */

typedef struct report {
  char *message;
  size_t size;
} report;

static int fail(const report *to, const char *text) {
  int result = tls_out_of_memory() ? WH_ERR_NO_MEMORY : WH_ERR_INVALID_ARGUMENT;
  tls_explain(to->message, to->size, text);
  return result;
}

/* --- the name --- */

/* "*.example" becomes ".example", "*" becomes "". NULL: no memory, or (*bad) no such name. */
static char *make_name(const char *name, int *bad) {
  const char *from = name;
  if (from[0] == '*' && (from[1] == '.' || from[1] == '\0')) from++;
  size_t length = strlen(from);
  *bad = name[0] == '\0' || strchr(from, '*') != NULL || strcmp(from, ".") == 0 || length > 255 ||
         (from == name && name[0] == '.');
  if (*bad) return NULL;
  char *made = wh_alloc(length + 1);
  if (made == NULL) return NULL;
  for (size_t i = 0; i <= length; i++) {
    made[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] | 0x20) : from[i];
  }
  return made;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const tls_site *)a)->name, ((const tls_site *)b)->name);
}

int tls_sites_sort(tls_site *sites, size_t count, char *message, size_t size) {
  qsort(sites, count, sizeof *sites, by_name);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(sites[i - 1].name, sites[i].name) != 0) continue;
    const char *name = sites[i].name;
    snprintf(message, size, "host %s%s: there are two of this name",
             name[0] == '\0' || name[0] == '.' ? "*" : "", name);
    return WH_ERR_INVALID_ARGUMENT;
  }
  return WH_OK;
}

/* --- clients' certificates --- */

/* What verification says stays in the session, and the application judges it. */
static int let_pass(int verified, X509_STORE_CTX *store) {
  (void)verified;
  (void)store;
  return 1;
}

static int as_verified(int verified, X509_STORE_CTX *store) {
  (void)store;
  return verified;
}

SSL_verify_cb tls_verify_callback(const tls_site *site) {
  return site->any_client_certificate ? let_pass : as_verified;
}

static void free_name(void *name) { wh_openssl.X509_NAME_free(name); }

/* Who may sign: the context trusts them, and clients are told their names. */
static int trust(const tls_site *site, const wh_tls_host *host, const report *to) {
  STACK_OF(X509) *list = NULL;
  int result = tls_read_certificates(host->authorities, host->authorities_length, &list,
                                     to->message, to->size);
  if (result != WH_OK) return result;
  X509_STORE *store = wh_openssl.SSL_CTX_get_cert_store(site->context);
  OPENSSL_STACK *names = wh_openssl.OPENSSL_sk_new_null();
  if (names == NULL) result = WH_ERR_NO_MEMORY;
  for (int i = 0; i < tls_certificate_count(list) && result == WH_OK; i++) {
    X509 *certificate = tls_certificate_at(list, i);
    X509_NAME *name = wh_openssl.X509_NAME_dup(wh_openssl.X509_get_subject_name(certificate));
    if (name == NULL || wh_openssl.OPENSSL_sk_push(names, name) <= 0) {
      wh_openssl.X509_NAME_free(name);
      result = WH_ERR_NO_MEMORY;
    } else if (!wh_openssl.X509_STORE_add_cert(store, certificate)) {
      result = fail(to, "a certificate authority cannot be used");
    }
  }
  tls_free_certificates(list);
  if (result == WH_OK)
    wh_openssl.SSL_CTX_set_client_CA_list(site->context, (STACK_OF(X509_NAME) *)names);
  else
    wh_openssl.OPENSSL_sk_pop_free(names, free_name);
  return result;
}

/* The system's authorities: where OpenSSL was built to look, and where systems have them. */
static void trust_system(const tls_site *site) {
  static const char *const files[] = {
      "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
      "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
      "/etc/ssl/ca-bundle.pem",             /* openSUSE */
      "/etc/ssl/cert.pem",                  /* macOS, BSD */
  };
  wh_openssl.SSL_CTX_set_default_verify_paths(site->context);
  X509_STORE *store = wh_openssl.SSL_CTX_get_cert_store(site->context);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (wh_openssl.X509_STORE_load_file(store, files[i])) break;
  }
  wh_openssl.ERR_clear_error();
}

static int set_clients(tls_site *site, const wh_tls_host *host, const report *to) {
  switch (host->client_mode) {
  case WH_TLS_CLIENT_NONE: site->verify_mode = SSL_VERIFY_NONE; break;
  case WH_TLS_CLIENT_ALLOW: site->verify_mode = SSL_VERIFY_PEER; break;
  case WH_TLS_CLIENT_REQUIRE:
    site->verify_mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    break;
  default: return fail(to, "there is no such client certificate mode");
  }
  site->any_client_certificate = host->any_client_certificate != 0;
  wh_openssl.SSL_CTX_set_verify(site->context, site->verify_mode, tls_verify_callback(site));
  if (site->verify_mode == SSL_VERIFY_NONE) return WH_OK;
  if (host->authorities != NULL) return trust(site, host, to);
  if (!site->any_client_certificate) trust_system(site);
  return WH_OK;
}

/*
 * A session is resumed where it was made: with the same name and the same rules for clients, or whoever
 * may not come in here could be let in elsewhere and then resume.
 */
static int set_session_context(tls_site *site, const wh_tls_host *host) {
  EVP_MD *sha256 = wh_openssl.EVP_MD_fetch(NULL, "SHA256", NULL);
  EVP_MD_CTX *digest = wh_openssl.EVP_MD_CTX_new();
  uint8_t rules[2] = {(uint8_t)site->verify_mode, (uint8_t)site->any_client_certificate};
  int done = sha256 != NULL && digest != NULL &&
             wh_openssl.EVP_DigestInit_ex(digest, sha256, NULL) &&
             wh_openssl.EVP_DigestUpdate(digest, rules, sizeof rules) &&
             wh_openssl.EVP_DigestUpdate(digest, site->name, strlen(site->name) + 1) &&
             (host->authorities == NULL ||
              wh_openssl.EVP_DigestUpdate(digest, host->authorities, host->authorities_length)) &&
             wh_openssl.EVP_DigestFinal_ex(digest, site->session_context, NULL);
  wh_openssl.EVP_MD_CTX_free(digest);
  wh_openssl.EVP_MD_free(sha256);
  done = done && wh_openssl.SSL_CTX_set_session_id_context(site->context, site->session_context,
                                                           sizeof site->session_context);
  return done ? WH_OK : WH_ERR_NO_MEMORY;
}

/* --- OCSP --- */

/* Staples the response that belongs to the certificate in use. OpenSSL's callback. */
static int on_status(SSL *ssl, void *user) {
  (void)user;
  const tls_filter *filter = tls_filter_of(ssl);
  const X509 *used = wh_openssl.SSL_get_certificate(ssl);
  for (size_t i = 0; filter->site != NULL && i < filter->site->staple_count; i++) {
    const tls_staple *staple = &filter->site->staples[i];
    if (staple->certificate != used) continue;
    void *copy = wh_openssl.CRYPTO_memdup(staple->response, staple->length, __FILE__, __LINE__);
    if (copy == NULL) break;
    wh_openssl.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, (long)staple->length, copy);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

static int add_staple(tls_site *site, const wh_tls_identity *identity, const X509 *certificate) {
  if (identity->ocsp == NULL || identity->ocsp_length == 0) return WH_OK;
  uint8_t *copy = wh_alloc(identity->ocsp_length);
  if (copy == NULL) return WH_ERR_NO_MEMORY;
  memcpy(copy, identity->ocsp, identity->ocsp_length);
  tls_staple staple = {certificate, copy, identity->ocsp_length};
  site->staples[site->staple_count++] = staple;
  return WH_OK;
}

/* --- certificates --- */

static int use_identities(tls_site *site, const wh_tls_host *host, const report *to) {
  int types[8];
  if (host->identity_count == 0) return fail(to, "there is no certificate");
  if (host->identity_count > sizeof types / sizeof *types) {
    return fail(to, "there are too many certificates");
  }
  site->staples = wh_zalloc(host->identity_count * sizeof *site->staples);
  if (site->staples == NULL) return WH_ERR_NO_MEMORY;
  for (size_t i = 0; i < host->identity_count; i++) {
    tls_identity identity;
    int result = tls_identity_read(&host->identities[i], &identity, to->message, to->size);
    if (result != WH_OK) return result;
    types[i] = wh_openssl.EVP_PKEY_get_base_id(identity.key);
    for (size_t j = 0; j < i && result == WH_OK; j++) {
      if (types[j] == types[i]) result = fail(to, "two certificates have the same type of key");
    }
    if (result == WH_OK &&
        wh_openssl.SSL_CTX_use_cert_and_key(site->context, identity.certificate, identity.key,
                                            identity.chain, 1) != 1) {
      result = fail(to, "the certificate cannot be used");
    }
    if (result == WH_OK) result = add_staple(site, &host->identities[i], identity.certificate);
    tls_identity_free(&identity);
    if (result != WH_OK) return result;
  }
  if (site->staple_count > 0) {
    wh_openssl.SSL_CTX_callback_ctrl(site->context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                                     (void (*)(void))on_status);
  }
  return WH_OK;
}

/* --- the context --- */

/* The client's name is acknowledged, and kept by OpenSSL; tls_on_client_hello has used it. */
static int on_server_name(SSL *ssl, int *alert, void *user) {
  (void)ssl;
  (void)alert;
  (void)user;
  return SSL_TLSEXT_ERR_OK;
}

static int set_versions(tls_site *site, const wh_tls_host *host, const report *to) {
  site->least_version = host->least_version == 0 ? TLS1_2_VERSION : (int)host->least_version;
  site->greatest_version =
      host->greatest_version == 0 ? TLS1_3_VERSION : (int)host->greatest_version;
  if (site->least_version < TLS1_2_VERSION || site->greatest_version > TLS1_3_VERSION ||
      site->least_version > site->greatest_version) {
    return fail(to, "the versions are TLS 1.2 and TLS 1.3");
  }
  SSL_CTX *context = site->context;
  if (!wh_openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, site->least_version,
                               NULL) ||
      !wh_openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, site->greatest_version,
                               NULL)) {
    return fail(to, "this OpenSSL does not have the versions");
  }
  return WH_OK;
}

static int set_algorithms(const tls_site *site, const wh_tls_settings *settings, const report *to) {
  const char *ciphers = settings->ciphers == NULL ? DEFAULT_CIPHERS : settings->ciphers;
  const char *suites =
      settings->cipher_suites == NULL ? DEFAULT_CIPHER_SUITES : settings->cipher_suites;
  const char *groups = settings->groups == NULL ? DEFAULT_GROUPS : settings->groups;
  if (!wh_openssl.SSL_CTX_set_cipher_list(site->context, ciphers)) {
    return fail(to, "there is no cipher of TLS 1.2 in the list");
  }
  if (!wh_openssl.SSL_CTX_set_ciphersuites(site->context, suites)) {
    return fail(to, "the cipher suites of TLS 1.3 are not known");
  }
  if (!wh_openssl.SSL_CTX_ctrl(site->context, SSL_CTRL_SET_GROUPS_LIST, 0, (void *)groups)) {
    return fail(to, "the groups are not known");
  }
  return WH_OK;
}

static int set_behaviour(wh_tls *tls, const tls_site *site, const wh_tls_settings *settings) {
  SSL_CTX *context = site->context;
  uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_SSLv3;
  if (!settings->tickets) options |= SSL_OP_NO_TICKET;
  wh_openssl.SSL_CTX_set_options(context, options);
  /*
   * RELEASE_BUFFERS: an idle connection does not hold 34 kB. NO_AUTO_CHAIN: a chain is what was given,
   * and is not looked for in every handshake.
   */
  wh_openssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE,
                          SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_NO_AUTO_CHAIN,
                          NULL);
  /* Sessions are in their tickets, and nowhere here. Early data is off unless somebody asks for it. */
  wh_openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
  uint32_t seconds =
      settings->session_seconds == 0 ? DEFAULT_SESSION_SECONDS : settings->session_seconds;
  if (seconds > MOST_SESSION_SECONDS) seconds = MOST_SESSION_SECONDS;
  wh_openssl.SSL_CTX_set_timeout(context, (long)seconds);
  /* TLS 1.3: none at the handshake's end; record.c sends one with the first data, which saves a send. */
  wh_openssl.SSL_CTX_set_num_tickets(context, 0);
  if (settings->tickets &&
      !wh_openssl.SSL_CTX_set_tlsext_ticket_key_evp_cb(context, tls_on_ticket)) {
    return WH_ERR_NO_MEMORY;
  }
  wh_openssl.SSL_CTX_set_client_hello_cb(context, tls_on_client_hello, tls);
  wh_openssl.SSL_CTX_set_alpn_select_cb(context, tls_on_alpn, tls);
  wh_openssl.SSL_CTX_set_info_callback(context, tls_on_info);
  wh_openssl.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                                   (void (*)(void))on_server_name);
  return WH_OK;
}

int tls_site_make(wh_tls *tls, const wh_tls_settings *settings, const wh_tls_host *host,
                  tls_site *out, char *message, size_t size) {
  report to = {message, size};
  int bad = 0;
  wh_openssl.ERR_clear_error();
  out->name = make_name(host->name, &bad);
  if (bad) return fail(&to, "the name is neither a host, nor \"*.\" and a host, nor \"*\"");
  if (out->name == NULL) return WH_ERR_NO_MEMORY;
  out->protocols = host->protocols == 0 ? settings->protocols : host->protocols;
  if (out->protocols == 0 || out->protocols & ~(WH_PROTOCOL_HTTP1 | WH_PROTOCOL_HTTP2)) {
    return fail(&to, "there are no such protocols");
  }
  out->context = wh_openssl.SSL_CTX_new(wh_openssl.TLS_server_method());
  if (out->context == NULL) return WH_ERR_NO_MEMORY;
  int result = set_versions(out, host, &to);
  if (result == WH_OK) result = set_algorithms(out, settings, &to);
  if (result == WH_OK) result = set_behaviour(tls, out, settings);
  if (result == WH_OK) result = use_identities(out, host, &to);
  if (result == WH_OK) result = set_clients(out, host, &to);
  if (result == WH_OK) result = set_session_context(out, host);
  return result;
}

void tls_site_free(tls_site *site) {
  for (size_t i = 0; i < site->staple_count; i++) wh_free(site->staples[i].response);
  wh_free(site->staples);
  wh_openssl.SSL_CTX_free(site->context);
  wh_free(site->name);
}
