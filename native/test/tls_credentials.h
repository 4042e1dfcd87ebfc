/* Certificates for tests of TLS, made by OpenSSL. */
#ifndef TLS_CREDENTIALS_H
#define TLS_CREDENTIALS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifndef TLS_WORLD_FUZZ /* which has assertions of its own */
#include <setjmp.h>
#include <cmocka.h>
#endif

#include "tls/openssl.h"
#include "tls/tls.h"

typedef struct credential {
  X509 *certificate;
  EVP_PKEY *key;
} credential;

typedef struct text {
  uint8_t *bytes;
  size_t length;
} text;

enum { CA = 1, CLIENT_ONLY = 2, SERVER_ONLY = 4, EXPIRED = 8, RSA_KEY = 16 };

static void add_extension(X509 *certificate, int nid, const char *value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
  assert_non_null(extension);
  assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

static inline credential make_credential(const char *name, const credential *issuer, int flags) {
  static long serial = 1;
  credential made = {X509_new(), flags & RSA_KEY ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
  assert_non_null(made.key);
  X509_set_version(made.certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(made.certificate), -7200);
  X509_gmtime_adj(X509_getm_notAfter(made.certificate), flags & EXPIRED ? -3600 : 86400);
  X509_NAME *subject = X509_get_subject_name(made.certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
  X509_set_issuer_name(made.certificate,
                       issuer == NULL ? subject : X509_get_subject_name(issuer->certificate));
  X509_set_pubkey(made.certificate, made.key);
  if (flags & CA) add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (flags & CLIENT_ONLY) add_extension(made.certificate, NID_ext_key_usage, "clientAuth");
  if (flags & SERVER_ONLY) add_extension(made.certificate, NID_ext_key_usage, "serverAuth");
  assert_true(X509_sign(made.certificate, issuer == NULL ? made.key : issuer->key, EVP_sha256()) >
              0);
  return made;
}

static inline void free_credential(credential *made) {
  X509_free(made->certificate);
  EVP_PKEY_free(made->key);
}

static text text_of(BIO *bio) {
  char *data;
  long length = BIO_get_mem_data(bio, &data);
  text made = {malloc((size_t)length + 1), (size_t)length};
  memcpy(made.bytes, data, (size_t)length);
  made.bytes[length] = 0;
  BIO_free(bio);
  return made;
}

/* PEM of certificates and a key; NULL where there is none. */
static inline text pem_of(const credential *leaf, const credential *above, const EVP_PKEY *key,
                          const char *passphrase) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (leaf != NULL) PEM_write_bio_X509(bio, leaf->certificate);
  if (above != NULL) PEM_write_bio_X509(bio, above->certificate);
  if (key != NULL) {
    PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(),
                                  passphrase, passphrase == NULL ? 0 : (int)strlen(passphrase),
                                  NULL, NULL);
  }
  return text_of(bio);
}

static inline wh_tls_identity identity_of(const text *both) {
  return (wh_tls_identity){.certificate = both->bytes, .certificate_length = both->length};
}

#endif
