/* Session tickets: what resumes a session is with the client, sealed by keys of ours. */
#include <string.h>

#include "base/memory.h"
#include "tls/tls_internal.h"

_Static_assert(sizeof(tls_ticket_key) == WH_TLS_TICKET_KEY_SIZE, "a ticket key has no padding");

static void free_keys(tls_ticket_key *keys, size_t count) {
  if (keys == NULL) return;
  wh_openssl.OPENSSL_cleanse(keys, count * sizeof *keys);
  wh_free(keys);
}

int wh_tls_set_ticket_keys(wh_tls *tls, const uint8_t *keys, size_t count) {
  /* New random ones: tickets that the last one sealed open still. */
  int keep = count == 0 && tls->key_count > 0;
  size_t total = count == 0 ? 1 + (size_t)keep : count;
  if (total > SIZE_MAX / sizeof(tls_ticket_key)) return WH_ERR_INVALID_ARGUMENT;
  tls_ticket_key *made = wh_alloc(total * sizeof *made);
  if (made == NULL) return WH_ERR_NO_MEMORY;
  if (count > 0) {
    memcpy(made, keys, count * sizeof *made);
  } else {
    if (wh_openssl.RAND_bytes((unsigned char *)made, sizeof *made) != 1) {
      wh_openssl.ERR_clear_error();
      wh_free(made);
      return WH_ERR_SYSTEM;
    }
    if (keep) made[1] = tls->keys[0];
  }
  free_keys(tls->keys, tls->key_count);
  tls->keys = made;
  tls->key_count = total;
  return WH_OK;
}

int tls_tickets_init(wh_tls *tls, const wh_tls_settings *settings) {
  if (!settings->tickets) return WH_OK;
  /* Fetched here once: a cipher by its old name is looked for at each use. */
  tls->ticket_cipher = wh_openssl.EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  if (tls->ticket_cipher == NULL) return WH_ERR_NO_MEMORY;
  size_t count = settings->ticket_keys == NULL ? 0 : settings->ticket_key_count;
  return wh_tls_set_ticket_keys(tls, settings->ticket_keys, count);
}

void tls_tickets_free(wh_tls *tls) {
  free_keys(tls->keys, tls->key_count);
  wh_openssl.EVP_CIPHER_free(tls->ticket_cipher);
}

static int set_mac(EVP_MAC_CTX *mac, tls_ticket_key *key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      {OSSL_MAC_PARAM_KEY, OSSL_PARAM_OCTET_STRING, key->mac, sizeof key->mac, 0},
      {OSSL_MAC_PARAM_DIGEST, OSSL_PARAM_UTF8_STRING, digest, sizeof digest - 1, 0},
      {NULL, 0, NULL, 0, 0},
  };
  return wh_openssl.EVP_MAC_CTX_set_params(mac, parameters);
}

int tls_on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int seal) {
  wh_tls *tls = tls_filter_of(ssl)->tls;
  if (tls->key_count == 0) return 0;
  if (seal) {
    tls_ticket_key *key = &tls->keys[0];
    memcpy(name, key->name, sizeof key->name);
    if (wh_openssl.RAND_bytes(iv, 16) != 1 ||
        !wh_openssl.EVP_EncryptInit_ex(cipher, tls->ticket_cipher, NULL, key->cipher, iv) ||
        !set_mac(mac, key)) {
      return -1;
    }
    return 1;
  }
  for (size_t i = 0; i < tls->key_count; i++) {
    tls_ticket_key *key = &tls->keys[i];
    if (memcmp(name, key->name, sizeof key->name) != 0) continue;
    if (!set_mac(mac, key) ||
        !wh_openssl.EVP_DecryptInit_ex(cipher, tls->ticket_cipher, NULL, key->cipher, iv)) {
      return -1;
    }
    return i == 0 ? 1 : 2; /* 2: resumed, and the client gets a ticket by the first key */
  }
  return 0;
}
