/* Certificates, their chains and keys: PEM, DER and PKCS #12. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls_internal.h"

int tls_out_of_memory(void) {
  return ERR_GET_REASON(wh_openssl.ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

void tls_explain(char *message, size_t size, const char *text) {
  const char *why = wh_openssl.ERR_reason_error_string(wh_openssl.ERR_peek_last_error());
  if (why != NULL)
    snprintf(message, size, "%s: %s", text, why);
  else
    snprintf(message, size, "%s", text);
  wh_openssl.ERR_clear_error();
}

/* Says what is wrong; which error it is depends on whether there was memory. */
static int wrong(char *message, size_t size, const char *text) {
  int result = tls_out_of_memory() ? WH_ERR_NO_MEMORY : WH_ERR_INVALID_ARGUMENT;
  tls_explain(message, size, text);
  return result;
}

/* --- lists of certificates --- */

static void free_certificate(void *certificate) { wh_openssl.X509_free(certificate); }

void tls_free_certificates(STACK_OF(X509) * certificates) {
  wh_openssl.OPENSSL_sk_pop_free((OPENSSL_STACK *)certificates, free_certificate);
}

int tls_certificate_count(const STACK_OF(X509) * certificates) {
  return certificates == NULL ? 0 : wh_openssl.OPENSSL_sk_num((const OPENSSL_STACK *)certificates);
}

X509 *tls_certificate_at(const STACK_OF(X509) * certificates, int index) {
  return wh_openssl.OPENSSL_sk_value((const OPENSSL_STACK *)certificates, index);
}

/* Takes the certificate over, in any case. */
static int add_certificate(STACK_OF(X509) * list, X509 *certificate) {
  if (wh_openssl.OPENSSL_sk_push((OPENSSL_STACK *)list, certificate) > 0) return 0;
  wh_openssl.X509_free(certificate);
  return -1;
}

/* --- reading --- */

typedef struct secret {
  const char *passphrase;
  int asked;
} secret;

/* OpenSSL asks for a passphrase. It must never ask the terminal. */
static int tell_passphrase(char *out, int size, int writing, void *user) {
  secret *known = user;
  known->asked = 1;
  if (known->passphrase == NULL) return -1;
  size_t length = strlen(known->passphrase);
  if (length > (size_t)size) return -1;
  memcpy(out, known->passphrase, length);
  return (int)length;
}

/* Where PEM begins in the data (there may be a byte order mark or prose before it); NULL: it is none. */
static const uint8_t *find_pem(const uint8_t *data, size_t length) {
  static const char begin[] = "-----BEGIN ";
  return memmem(data, length, begin, sizeof begin - 1);
}

static BIO *open_memory(const uint8_t *data, size_t length) {
  return length > INT_MAX ? NULL : wh_openssl.BIO_new_mem_buf(data, (int)length);
}

static int read_pem_certificates(BIO *bio, STACK_OF(X509) * list, char *message, size_t size) {
  secret none = {NULL, 0};
  for (;;) {
    wh_openssl.ERR_clear_error();
    X509 *certificate = wh_openssl.PEM_read_bio_X509(bio, NULL, tell_passphrase, &none);
    if (certificate == NULL) break;
    if (add_certificate(list, certificate) != 0) return WH_ERR_NO_MEMORY;
  }
  unsigned long error = wh_openssl.ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    return wrong(message, size, "the certificate cannot be read");
  }
  wh_openssl.ERR_clear_error();
  if (tls_certificate_count(list) > 0) return WH_OK;
  snprintf(message, size, "there is no certificate in the PEM text");
  return WH_ERR_INVALID_ARGUMENT;
}

int tls_read_certificates(const uint8_t *data, size_t length, STACK_OF(X509) * *out, char *message,
                          size_t size) {
  STACK_OF(X509) *list = (STACK_OF(X509) *)wh_openssl.OPENSSL_sk_new_null();
  if (list == NULL) return WH_ERR_NO_MEMORY;
  int result = WH_OK;
  const uint8_t *pem = find_pem(data, length);
  if (pem != NULL) {
    BIO *bio = open_memory(pem, length - (size_t)(pem - data));
    result = bio == NULL ? WH_ERR_NO_MEMORY : read_pem_certificates(bio, list, message, size);
    wh_openssl.BIO_free(bio);
  } else {
    const unsigned char *at = data;
    X509 *certificate = length > LONG_MAX ? NULL : wh_openssl.d2i_X509(NULL, &at, (long)length);
    if (certificate == NULL)
      result = wrong(message, size, "the certificate is neither PEM nor DER");
    else if (add_certificate(list, certificate) != 0)
      result = WH_ERR_NO_MEMORY;
  }
  if (result != WH_OK) {
    tls_free_certificates(list);
    return result;
  }
  *out = list;
  return WH_OK;
}

static int read_key(const uint8_t *data, size_t length, const char *passphrase, EVP_PKEY **out,
                    char *message, size_t size) {
  secret known = {passphrase, 0};
  const uint8_t *pem = find_pem(data, length);
  wh_openssl.ERR_clear_error();
  if (pem == NULL && length <= LONG_MAX) {
    const unsigned char *at = data;
    *out = wh_openssl.d2i_AutoPrivateKey(NULL, &at, (long)length);
    if (*out != NULL) return WH_OK;
  }
  BIO *bio =
      open_memory(pem == NULL ? data : pem, pem == NULL ? length : length - (size_t)(pem - data));
  if (bio == NULL) return WH_ERR_NO_MEMORY;
  *out = pem == NULL ? wh_openssl.d2i_PKCS8PrivateKey_bio(bio, NULL, tell_passphrase, &known)
                     : wh_openssl.PEM_read_bio_PrivateKey(bio, NULL, tell_passphrase, &known);
  wh_openssl.BIO_free(bio);
  if (*out != NULL) return WH_OK;
  return wrong(message, size,
               known.asked && passphrase == NULL
                   ? "the private key is encrypted and there is no passphrase"
               : known.asked ? "the private key cannot be read: is the passphrase wrong?"
               : pem == NULL ? "the private key is neither PEM nor DER"
                             : "there is no private key in the PEM text that can be read");
}

/* Those of `pool` that lead from the leaf upwards, in this order: PKCS #12 has none. */
static int order_chain(tls_identity *identity, const STACK_OF(X509) * pool) {
  X509 *last = identity->certificate;
  int count = tls_certificate_count(pool);
  STACK_OF(X509) *chain = (STACK_OF(X509) *)wh_openssl.OPENSSL_sk_new_null();
  if (chain == NULL) return WH_ERR_NO_MEMORY;
  identity->chain = chain;
  /* Certificates that issued each other in a circle end with the count of steps. */
  for (int step = 0; step < count; step++) {
    if (wh_openssl.X509_check_issued(last, last) == X509_V_OK) break;
    X509 *issuer = NULL;
    for (int i = 0; i < count && issuer == NULL; i++) {
      X509 *candidate = tls_certificate_at(pool, i);
      if (wh_openssl.X509_check_issued(candidate, last) == X509_V_OK) issuer = candidate;
    }
    if (issuer == NULL) break;
    wh_openssl.X509_up_ref(issuer);
    if (add_certificate(chain, issuer) != 0) return WH_ERR_NO_MEMORY;
    last = issuer;
  }
  return WH_OK;
}

static int read_pfx(const wh_tls_identity *in, tls_identity *out, char *message, size_t size) {
  BIO *bio = open_memory(in->pfx, in->pfx_length);
  if (bio == NULL) return WH_ERR_NO_MEMORY;
  wh_openssl.ERR_clear_error();
  PKCS12 *pfx = wh_openssl.d2i_PKCS12_bio(bio, NULL);
  wh_openssl.BIO_free(bio);
  if (pfx == NULL) return wrong(message, size, "the PFX cannot be read");
  STACK_OF(X509) *others = NULL;
  int parsed = wh_openssl.PKCS12_parse(pfx, in->passphrase, &out->key, &out->certificate, &others);
  wh_openssl.PKCS12_free(pfx);
  if (!parsed) {
    int reason = ERR_GET_REASON(wh_openssl.ERR_peek_last_error());
    return wrong(message, size,
                 reason == PKCS12_R_MAC_VERIFY_FAILURE ? "the passphrase of the PFX is wrong"
                                                       : "the PFX cannot be opened");
  }
  wh_openssl.ERR_clear_error();
  int result = WH_OK;
  if (out->certificate == NULL || out->key == NULL) {
    snprintf(message, size, "there is no certificate with its private key in the PFX");
    result = WH_ERR_INVALID_ARGUMENT;
  } else if (others != NULL) {
    result = order_chain(out, others);
  }
  tls_free_certificates(others);
  return result;
}

static int read_pair(const wh_tls_identity *in, tls_identity *out, char *message, size_t size) {
  STACK_OF(X509) *list = NULL;
  int result = tls_read_certificates(in->certificate, in->certificate_length, &list, message, size);
  if (result != WH_OK) return result;
  out->certificate = tls_certificate_at(list, 0);
  wh_openssl.X509_up_ref(out->certificate);
  wh_openssl.X509_free(wh_openssl.OPENSSL_sk_shift((OPENSSL_STACK *)list));
  out->chain = list;
  const uint8_t *key = in->key == NULL ? in->certificate : in->key;
  size_t length = in->key == NULL ? in->certificate_length : in->key_length;
  return read_key(key, length, in->passphrase, &out->key, message, size);
}

int tls_identity_read(const wh_tls_identity *in, tls_identity *out, char *message, size_t size) {
  memset(out, 0, sizeof *out);
  message[0] = '\0';
  int result =
      in->pfx != NULL ? read_pfx(in, out, message, size) : read_pair(in, out, message, size);
  if (result == WH_OK && !wh_openssl.X509_check_private_key(out->certificate, out->key)) {
    result = wrong(message, size, "the private key is not that of the certificate");
  }
  /* Kestrel: a certificate that says what it is for must say that it is for servers. */
  if (result == WH_OK) {
    uint32_t usage = wh_openssl.X509_get_extended_key_usage(out->certificate);
    if (usage != UINT32_MAX && !(usage & XKU_SSL_SERVER)) {
      snprintf(message, size,
               "the certificate is not for servers: its extended key usage lacks "
               "serverAuth (1.3.6.1.5.5.7.3.1)");
      result = WH_ERR_INVALID_ARGUMENT;
    }
  }
  if (result == WH_ERR_NO_MEMORY) snprintf(message, size, "out of memory");
  if (result != WH_OK) tls_identity_free(out);
  wh_openssl.ERR_clear_error();
  return result;
}

void tls_identity_free(tls_identity *identity) {
  wh_openssl.X509_free(identity->certificate);
  wh_openssl.EVP_PKEY_free(identity->key);
  tls_free_certificates(identity->chain);
  memset(identity, 0, sizeof *identity);
}
