/*
 * Records of TLS 1.3, sealed and opened here and not by OpenSSL's record layer, once its handshake is done:
 * the cipher works from the arena into the arena, and from the plain bytes into the wire buffer, with
 * nothing between. That halves what a small request costs for TLS. Ciphers and HKDF are OpenSSL's.
 *
 * The keys are derived from the traffic secrets, which OpenSSL tells by its key log. RFC 8446:
 *
 *   5.2    a record: its header as additional data, then data, type and padding, sealed
 *   5.3    the nonce is the record's number, xored to the IV
 *   7.1-3  HKDF-Expand-Label; "key", "iv", "traffic upd"
 *   4.6.3  key updates, 6.1 close_notify, 5.1 what may come after a handshake
 *
 * OpenSSL keeps the session, the certificates and the exporter, and makes the ticket, which goes out before
 * the first data. TLS 1.2, and ciphers not listed here, stay with its record layer.
 */
#include <string.h>

#include "base/memory.h"
#include "tls/tls_internal.h"

#define HEADER 5U
#define CONTENT_MOST 16384U
#define BODY_MOST (CONTENT_MOST + 256U)
#define TAG 16U
#define IV 12U
/* Up to so many bytes data and type are put together first: one call of the cipher instead of two. */
#define TOGETHER 1024U
/* Records by one key: AES-GCM is good for 2^24.5 full ones (RFC 8446, section 5.5). */
#ifdef WH_TEST
#define RECORDS_PER_KEY 500U
#else
#define RECORDS_PER_KEY (1U << 23)
#endif
/* Messages that are no data in a row, before the connection is a nuisance. */
#define MOST_MESSAGES 32

enum content { CONTENT_ALERT = 21, CONTENT_HANDSHAKE = 22, CONTENT_DATA = 23 };

#define KEY_UPDATE 24 /* type of message: RFC 8446, section 4 */

typedef struct direction {
  EVP_CIPHER_CTX *cipher;
  uint64_t sequence;
  uint8_t iv[IV];
  uint8_t secret[EVP_MAX_MD_SIZE];
  uint8_t secret_size; /* 0 until OpenSSL has told it */
} direction;

struct tls_direct {
  direction in, out;
  const tls_hash *hash;
  uint8_t message[5]; /* of the handshake protocol: a key update, and nothing else comes */
  uint8_t message_length;
  uint8_t update_due; /* our own key update goes out before the next data */
};

/* --- keys --- */

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The last word of a line of the key log. */
static void read_secret(direction *to, const char *line) {
  const char *at = strrchr(line, ' ');
  size_t size = 0;
  if (at == NULL) return;
  for (at++; size < sizeof to->secret; at += 2, size++) {
    int high = hex_value(at[0]), low = high < 0 ? -1 : hex_value(at[1]);
    if (low < 0) break;
    to->secret[size] = (uint8_t)(high << 4 | low);
  }
  to->secret_size = (uint8_t)size;
}

void tls_on_key_log(const SSL *ssl, const char *line) {
  static const char theirs[] = "CLIENT_TRAFFIC_SECRET_0 ", ours[] = "SERVER_TRAFFIC_SECRET_0 ";
  tls_filter *filter = tls_filter_of(ssl);
  int in = strncmp(line, theirs, sizeof theirs - 1) == 0;
  if (filter == NULL || (!in && strncmp(line, ours, sizeof ours - 1) != 0)) return;
  if (filter->direct == NULL) filter->direct = wh_zalloc(sizeof *filter->direct);
  /* Without memory OpenSSL's own record layer does it. */
  if (filter->direct != NULL) read_secret(in ? &filter->direct->in : &filter->direct->out, line);
}

/*
 * OpenSSL prints what it logs byte by byte, which takes microseconds for each secret: so only those that
 * are wanted are logged. They come after the message of encrypted extensions; the handshake's before it.
 */
void tls_log_keys(const tls_filter *filter) {
  const tls_site *site = filter->site == NULL ? filter->tls->first : filter->site;
  wh_openssl.SSL_CTX_set_keylog_callback(site->context,
                                         filter->secrets_come ? tls_on_key_log : NULL);
}

/* One half of HMAC (RFC 2104): the hash of the key, padded with `pad`, and of data. */
static int hash_padded(const tls_hash *hash, const direction *from, uint8_t pad,
                       const uint8_t *data, size_t length, uint8_t *out) {
  uint8_t key[128];
  memset(key, pad, hash->block);
  for (size_t i = 0; i < from->secret_size; i++) key[i] ^= from->secret[i];
  int done = wh_openssl.EVP_DigestInit_ex(hash->context, hash->digest, NULL) &&
             wh_openssl.EVP_DigestUpdate(hash->context, key, hash->block) &&
             wh_openssl.EVP_DigestUpdate(hash->context, data, length) &&
             wh_openssl.EVP_DigestFinal_ex(hash->context, out, NULL);
  wh_openssl.OPENSSL_cleanse(key, sizeof key);
  return done;
}

/*
 * HKDF-Expand-Label without context, for results no longer than the hash. OpenSSL's own HMAC and HKDF look
 * for their algorithms at each use, which would be a tenth of a handshake.
 */
static int expand(const tls_direct *direct, const direction *from, const char *label, uint8_t *out,
                  size_t size) {
  uint8_t info[32] = {0, (uint8_t)size}, inner[EVP_MAX_MD_SIZE], block[EVP_MAX_MD_SIZE];
  size_t length = strlen(label);
  info[2] = (uint8_t)(6 + length);
  memcpy(info + 3, "tls13 ", 6);
  memcpy(info + 9, label, length);
  info[9 + length] = 0;
  info[10 + length] = 1;
  int done = hash_padded(direct->hash, from, 0x36, info, 11 + length, inner) &&
             hash_padded(direct->hash, from, 0x5c, inner, from->secret_size, block);
  if (done) memcpy(out, block, size);
  wh_openssl.OPENSSL_cleanse(block, sizeof block);
  return done;
}

static int set_keys(const tls_direct *direct, direction *to, const EVP_CIPHER *cipher,
                    size_t key_size, int seals) {
  uint8_t key[32];
  to->sequence = 0;
  int done = expand(direct, to, "key", key, key_size) && expand(direct, to, "iv", to->iv, IV) &&
             wh_openssl.EVP_CipherInit_ex(to->cipher, cipher, NULL, key, NULL, seals);
  wh_openssl.OPENSSL_cleanse(key, sizeof key);
  return done;
}

static int next_keys(const tls_direct *direct, direction *of, int seals) {
  uint8_t next[EVP_MAX_MD_SIZE];
  if (!expand(direct, of, "traffic upd", next, of->secret_size)) return 0;
  memcpy(of->secret, next, of->secret_size);
  wh_openssl.OPENSSL_cleanse(next, sizeof next);
  size_t size = (size_t)wh_openssl.EVP_CIPHER_CTX_get_key_length(of->cipher);
  return set_keys(direct, of, NULL, size, seals);
}

int tls_direct_start(tls_filter *filter) {
  tls_direct *direct = filter->direct;
  if (direct == NULL) return 0;
  const SSL_CIPHER *cipher = wh_openssl.SSL_get_current_cipher(filter->ssl);
  int id = cipher == NULL ? 0 : wh_openssl.SSL_CIPHER_get_protocol_id(cipher);
  size_t which = (size_t)(id - TLS_DIRECT_FIRST);
  size_t secret_size = which == 1 ? 48 : 32;
  if (wh_openssl.SSL_version(filter->ssl) == TLS1_3_VERSION && which < TLS_DIRECT_CIPHERS &&
      direct->in.secret_size == secret_size && direct->out.secret_size == secret_size) {
    const EVP_CIPHER *fetched = filter->tls->direct_ciphers[which];
    direct->hash = &filter->tls->direct_hashes[which == 1];
    direct->in.cipher = wh_openssl.EVP_CIPHER_CTX_new();
    direct->out.cipher = wh_openssl.EVP_CIPHER_CTX_new();
    size_t key_size = which == 0 ? 16 : 32;
    if (direct->in.cipher != NULL && direct->out.cipher != NULL &&
        set_keys(direct, &direct->in, fetched, key_size, 0) &&
        set_keys(direct, &direct->out, fetched, key_size, 1)) {
      return 1;
    }
  }
  wh_openssl.ERR_clear_error();
  tls_direct_free(filter);
  return 0;
}

void tls_direct_free(tls_filter *filter) {
  if (filter->direct == NULL) return;
  wh_openssl.EVP_CIPHER_CTX_free(filter->direct->in.cipher);
  wh_openssl.EVP_CIPHER_CTX_free(filter->direct->out.cipher);
  wh_openssl.OPENSSL_cleanse(filter->direct, sizeof *filter->direct);
  wh_free(filter->direct);
  filter->direct = NULL;
}

int tls_direct_init(wh_tls *tls) {
  static const char *const ciphers[TLS_DIRECT_CIPHERS] = {"AES-128-GCM", "AES-256-GCM",
                                                          "ChaCha20-Poly1305"};
  static const char *const hashes[2] = {"SHA256", "SHA384"};
  for (size_t i = 0; i < TLS_DIRECT_CIPHERS; i++) {
    tls->direct_ciphers[i] = wh_openssl.EVP_CIPHER_fetch(NULL, ciphers[i], NULL);
    if (tls->direct_ciphers[i] == NULL) return WH_ERR_NO_MEMORY;
  }
  for (size_t i = 0; i < 2; i++) {
    tls_hash *hash = &tls->direct_hashes[i];
    hash->block = i == 0 ? 64 : 128;
    hash->digest = wh_openssl.EVP_MD_fetch(NULL, hashes[i], NULL);
    hash->context = wh_openssl.EVP_MD_CTX_new();
    if (hash->digest == NULL || hash->context == NULL) return WH_ERR_NO_MEMORY;
  }
  return WH_OK;
}

void tls_direct_release(wh_tls *tls) {
  for (size_t i = 0; i < TLS_DIRECT_CIPHERS; i++) {
    wh_openssl.EVP_CIPHER_free(tls->direct_ciphers[i]);
  }
  for (size_t i = 0; i < 2; i++) {
    wh_openssl.EVP_MD_CTX_free(tls->direct_hashes[i].context);
    wh_openssl.EVP_MD_free(tls->direct_hashes[i].digest);
  }
}

static void make_nonce(direction *of, uint8_t nonce[IV]) {
  memcpy(nonce, of->iv, IV);
  uint64_t number = of->sequence++;
  for (size_t i = IV; number != 0; number >>= 8) nonce[--i] ^= (uint8_t)number;
}

/* --- out --- */

/* One record, of `length` + TLS_DIRECT_EXTRA bytes. 0: OpenSSL failed. */
static int seal_record(tls_direct *direct, uint8_t type, const uint8_t *data, size_t length,
                       wh_wire *wire) {
  EVP_CIPHER_CTX *cipher = direct->out.cipher;
  uint8_t *out = wire->bytes + wire->used, *body = out + HEADER;
  uint8_t nonce[IV];
  size_t sealed = length + 1 + TAG;
  int n;
  out[0] = CONTENT_DATA;
  out[1] = out[2] = 3;
  out[3] = (uint8_t)(sealed >> 8);
  out[4] = (uint8_t)sealed;
  make_nonce(&direct->out, nonce);
  int done = wh_openssl.EVP_EncryptInit_ex(cipher, NULL, NULL, NULL, nonce) &&
             wh_openssl.EVP_EncryptUpdate(cipher, NULL, &n, out, HEADER);
  if (length <= TOGETHER) {
    memcpy(body, data, length);
    body[length] = type;
    done = done && wh_openssl.EVP_EncryptUpdate(cipher, body, &n, body, (int)length + 1);
  } else {
    done = done && wh_openssl.EVP_EncryptUpdate(cipher, body, &n, data, (int)length) &&
           wh_openssl.EVP_EncryptUpdate(cipher, body + length, &n, &type, 1);
  }
  body += length + 1;
  done = done && wh_openssl.EVP_EncryptFinal_ex(cipher, body, &n) &&
         wh_openssl.EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG, body);
  if (done) wire->used += HEADER + sealed;
  return done;
}

static int seal_small(tls_filter *filter, uint8_t type, const uint8_t *data, size_t length,
                      wh_wire *wire) {
  int done = wh_wire_reserve(wire, length + TLS_DIRECT_EXTRA) != NULL &&
             seal_record(filter->direct, type, data, length, wire);
  if (!done) filter->no_memory = 1;
  return done;
}

static int update_out(tls_filter *filter, wh_wire *wire) {
  static const uint8_t message[] = {KEY_UPDATE, 0, 0, 1, 0};
  filter->direct->update_due = 0;
  return seal_small(filter, CONTENT_HANDSHAKE, message, sizeof message, wire) &&
         next_keys(filter->direct, &filter->direct->out, 1);
}

/* OpenSSL writes a ticket, in one record or several of the keys that it and we have still. */
static int send_ticket(tls_filter *filter, wh_wire *wire) {
  size_t at = wire->used;
  filter->wire = wire;
  int done = !wh_openssl.SSL_new_session_ticket(filter->ssl) ||
             wh_openssl.SSL_do_handshake(filter->ssl) == 1;
  filter->wire = NULL;
  while (done && wire->used - at > HEADER) {
    at += HEADER + (size_t)(wire->bytes[at + 3] << 8 | wire->bytes[at + 4]);
    filter->direct->out.sequence++;
  }
  wh_openssl.ERR_clear_error();
  return done;
}

ssize_t tls_direct_seal(tls_filter *filter, const uint8_t *data, size_t length, wh_wire *wire) {
  tls_direct *direct = filter->direct;
  if (filter->ticket_due) {
    filter->ticket_due = 0;
    if (!send_ticket(filter, wire)) return -1;
  }
  if (direct->out.sequence >= RECORDS_PER_KEY) direct->update_due = 1;
  if (direct->update_due && !update_out(filter, wire)) return -1;
  size_t records = (length + CONTENT_MOST - 1) / CONTENT_MOST;
  if (wh_wire_reserve(wire, length + records * TLS_DIRECT_EXTRA) == NULL) {
    filter->no_memory = 1;
    return -1;
  }
  for (size_t done = 0; done < length;) {
    size_t piece = length - done < CONTENT_MOST ? length - done : CONTENT_MOST;
    if (!seal_record(direct, CONTENT_DATA, data + done, piece, wire)) return -1;
    done += piece;
  }
  return (ssize_t)length;
}

void tls_direct_end(tls_filter *filter, wh_wire *wire) {
  static const uint8_t close_notify[] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
  filter->ticket_due = 0;
  seal_small(filter, CONTENT_ALERT, close_notify, sizeof close_notify, wire);
}

/* --- in --- */

static enum tls_result refuse(tls_filter *filter, uint8_t alert, const char *reason) {
  uint8_t message[] = {SSL3_AL_FATAL, alert};
  filter->violation = reason;
  filter->ticket_due = 0;
  seal_small(filter, CONTENT_ALERT, message, sizeof message, filter->wire);
  return TLS_BROKEN;
}

static enum tls_result take_alert(tls_filter *filter, const uint8_t *content, size_t length) {
  if (length != 2) return refuse(filter, SSL_AD_DECODE_ERROR, "malformed alert");
  if (content[1] == SSL_AD_CLOSE_NOTIFY) return TLS_ENDED;
  if (content[1] == SSL_AD_USER_CANCELLED) return TLS_GOING_ON;
  filter->violation = "alert";
  return TLS_BROKEN;
}

/* Key updates are all that comes of the handshake protocol; nothing stands behind one in a record. */
static enum tls_result take_message(tls_filter *filter, const uint8_t *content, size_t length) {
  static const uint8_t header[] = {KEY_UPDATE, 0, 0, 1};
  tls_direct *direct = filter->direct;
  size_t have = direct->message_length;
  if (length == 0 || length > sizeof direct->message - have) {
    return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "unexpected message");
  }
  memcpy(direct->message + have, content, length);
  have += length;
  direct->message_length = (uint8_t)have;
  if (memcmp(direct->message, header, have < sizeof header ? have : sizeof header) != 0) {
    return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "unexpected message");
  }
  if (have < sizeof direct->message) return TLS_GOING_ON;
  direct->message_length = 0;
  if (direct->message[4] > 1)
    return refuse(filter, SSL_AD_ILLEGAL_PARAMETER, "malformed key update");
  if (direct->message[4] == 1) direct->update_due = 1;
  if (next_keys(direct, &direct->in, 0)) return TLS_GOING_ON;
  return refuse(filter, SSL_AD_INTERNAL_ERROR, "out of memory");
}

/* Opens a whole record to `plain`; what is data there is counted in `used`. */
static enum tls_result take_record(tls_filter *filter, const uint8_t *record, size_t body,
                                   uint8_t *plain, size_t *used) {
  tls_direct *direct = filter->direct;
  EVP_CIPHER_CTX *cipher = direct->in.cipher;
  uint8_t nonce[IV];
  size_t length = body - TAG;
  int n;
  make_nonce(&direct->in, nonce);
  if (!wh_openssl.EVP_DecryptInit_ex(cipher, NULL, NULL, NULL, nonce) ||
      !wh_openssl.EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG,
                                      (void *)(record + HEADER + length)) ||
      !wh_openssl.EVP_DecryptUpdate(cipher, NULL, &n, record, HEADER) ||
      !wh_openssl.EVP_DecryptUpdate(cipher, plain, &n, record + HEADER, (int)length) ||
      !wh_openssl.EVP_DecryptFinal_ex(cipher, plain + length, &n)) {
    return refuse(filter, SSL_AD_BAD_RECORD_MAC, "bad record");
  }
  while (length > 0 && plain[length - 1] == 0) length--;
  if (length == 0) return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "record of no type");
  uint8_t type = plain[--length];
  if (length > CONTENT_MOST) return refuse(filter, SSL_AD_RECORD_OVERFLOW, "record too long");
  /* Nothing comes between the parts of a message. */
  if (direct->message_length > 0 && type != CONTENT_HANDSHAKE) {
    return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "unexpected record");
  }
  if (type == CONTENT_DATA && length > 0) {
    *used += length;
    filter->controls = 0;
    return TLS_GOING_ON;
  }
  if (++filter->controls > MOST_MESSAGES) {
    return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "too many messages without data");
  }
  switch (type) {
  case CONTENT_DATA: return TLS_GOING_ON;
  case CONTENT_ALERT: return take_alert(filter, plain, length);
  case CONTENT_HANDSHAKE: return take_message(filter, plain, length);
  default: return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "record of unknown type");
  }
}

static size_t body_of(const uint8_t *record) { return (size_t)(record[3] << 8 | record[4]); }

/* What is wrong with a record's header, before anybody waits for the rest. */
static enum tls_result check_header(tls_filter *filter, const uint8_t *record) {
  size_t body = body_of(record);
  if (record[0] != CONTENT_DATA || record[1] != 3 || record[2] != 3) {
    return refuse(filter, SSL_AD_UNEXPECTED_MESSAGE, "unexpected record");
  }
  if (body > BODY_MOST) return refuse(filter, SSL_AD_RECORD_OVERFLOW, "record too long");
  return body > TAG ? TLS_GOING_ON : refuse(filter, SSL_AD_BAD_RECORD_MAC, "bad record");
}

/* Moves bytes to the held record until it has `wanted`. Whether it does. */
static int complete(tls_filter *filter, const uint8_t **data, size_t *length, size_t wanted) {
  size_t missing = wanted - filter->held_length, piece = *length < missing ? *length : missing;
  memcpy(filter->held + filter->held_length, *data, piece);
  filter->held_length += piece;
  *data += piece;
  *length -= piece;
  return piece == missing;
}

enum tls_result tls_direct_open(tls_filter *filter, const uint8_t *data, size_t length,
                                uint8_t *plain, size_t *used) {
  if (filter->held_length > 0) {
    enum tls_result result;
    if (filter->held_length < HEADER) {
      if (!complete(filter, &data, &length, HEADER)) return TLS_GOING_ON;
      result = check_header(filter, filter->held);
      if (result != TLS_GOING_ON) return result;
    }
    size_t body = body_of(filter->held);
    if (!complete(filter, &data, &length, HEADER + body)) return TLS_GOING_ON;
    result = take_record(filter, filter->held, body, plain + *used, used);
    wh_free(filter->held);
    filter->held = NULL;
    filter->held_length = filter->held_size = 0;
    if (result != TLS_GOING_ON) return result;
  }
  while (length >= HEADER) {
    enum tls_result result = check_header(filter, data);
    if (result != TLS_GOING_ON) return result;
    size_t body = body_of(data);
    if (length < HEADER + body) break;
    result = take_record(filter, data, body, plain + *used, used);
    if (result != TLS_GOING_ON) return result;
    data += HEADER + body;
    length -= HEADER + body;
  }
  if (length == 0) return TLS_GOING_ON;
  /* Where the header has come its record's length is known, and nothing more is taken. */
  filter->held_size = HEADER + (length < HEADER ? BODY_MOST : body_of(data));
  filter->held = wh_alloc(filter->held_size);
  if (filter->held == NULL) return refuse(filter, SSL_AD_INTERNAL_ERROR, "out of memory");
  memcpy(filter->held, data, length);
  filter->held_length = length;
  return TLS_GOING_ON;
}
