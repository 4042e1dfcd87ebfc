/*
 * TLS for servers, by OpenSSL, whose functions are looked up when they are first needed
 * (tls/openssl.h): an addon loads where there are none, and wh_tls_create says so.
 *
 * A wh_tls is what an endpoint presents: for each host name (SNI) its certificates, its protocols, whom
 * it lets in. It does not change; to change certificates an endpoint gets another one
 * (wh_server_set_tls), which new connections see, while those that are open keep theirs.
 *
 * One thread: the loop's. Functions that can fail return 0 or a negative wh_error.
 */
#ifndef WH_TLS_TLS_H
#define WH_TLS_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/filter.h"

/* What is spoken on a connection: bits for endpoints and hosts, one of them once it is settled. */
#define WH_PROTOCOL_HTTP1 1U
#define WH_PROTOCOL_HTTP2 2U

/* Whether a client shows a certificate (Kestrel's ClientCertificateMode). */
enum wh_tls_client_mode { WH_TLS_CLIENT_NONE, WH_TLS_CLIENT_ALLOW, WH_TLS_CLIENT_REQUIRE };

/* A certificate with its chain and key: PEM (or DER of one certificate), or PKCS #12. */
typedef struct wh_tls_identity {
  const uint8_t *certificate; /* leaf first, then its chain */
  size_t certificate_length;
  const uint8_t *key; /* NULL: it stands among the certificates. PEM or DER, may be encrypted */
  size_t key_length;
  const uint8_t *pfx; /* instead of both */
  size_t pfx_length;
  const char *passphrase; /* of key or pfx; NULL = none */
  const uint8_t *ocsp;    /* a DER response to be stapled; NULL = none */
  size_t ocsp_length;
} wh_tls_identity;

/* What clients get that name such a host. */
typedef struct wh_tls_host {
  const char *name; /* "a.example", "*.a.example", or "*": any other, and who names none */
  const wh_tls_identity *identities; /* of different key types (RSA and ECDSA); one at least */
  size_t identity_count;
  unsigned protocols;         /* WH_PROTOCOL_..., in ALPN; 0 = as the settings have it */
  unsigned least_version;     /* 0x0303 or 0x0304; 0 = TLS 1.2 */
  unsigned greatest_version;  /* likewise; 0 = TLS 1.3 */
  int client_mode;            /* enum wh_tls_client_mode */
  int any_client_certificate; /* whatever it is: the application judges it */
  const uint8_t *authorities; /* PEM, who may sign clients' certificates; NULL = the system's */
  size_t authorities_length;
} wh_tls_host;

/* Bytes of a ticket key: 16 of its name, 32 for HMAC-SHA-256, 32 for AES-256. */
#define WH_TLS_TICKET_KEY_SIZE 80U

typedef struct wh_tls_settings {
  const wh_tls_host *hosts; /* names without case, each once */
  size_t host_count;
  unsigned protocols;        /* WH_PROTOCOL_...: ALPN offers h2 before http/1.1 */
  const char *ciphers;       /* of TLS 1.2, an OpenSSL list; NULL = forward secret AEAD ones */
  const char *cipher_suites; /* of TLS 1.3; NULL = AES-128-GCM, AES-256-GCM, ChaCha20 */
  const char *groups;        /* NULL = X25519:P-256:P-384 */
  int tickets;               /* sessions can be resumed */
  uint32_t session_seconds;  /* for so long: 0 = two hours, a week at most */
  const uint8_t
      *ticket_keys; /* of WH_TLS_TICKET_KEY_SIZE: the first seals, all open; NULL = random */
  size_t ticket_key_count;
} wh_tls_settings;

typedef struct wh_tls wh_tls;

/*
 * Reads everything; nothing of the settings is needed after. What is wrong goes to `message`, with the
 * host's name: WH_ERR_NOT_SUPPORTED where there is no OpenSSL, WH_ERR_INVALID_ARGUMENT, or
 * WH_ERR_NO_MEMORY. The caller holds one reference.
 */
int wh_tls_create(const wh_tls_settings *settings, wh_tls **out, char *message, size_t size);
void wh_tls_retain(wh_tls *tls);
void wh_tls_release(wh_tls *tls); /* NULL is fine */
/*
 * Other ticket keys from now on: see ticket_keys above. 0 keys: a new random one seals, and what sealed
 * before opens still, until this is called again. 0 or an error.
 */
int wh_tls_set_ticket_keys(wh_tls *tls, const uint8_t *keys, size_t count);

/* What the server of a connection is told of its handshake. */
typedef struct wh_tls_events {
  /*
   * Bytes of the handshake wait: wh_tls_handshake is to be called soon. Handshakes cost more than
   * anything else, so the server chooses the time: after those whose handshake is done.
   */
  void (*handshake_due)(wh_connection *connection);
  /* Done; protocol is WH_PROTOCOL_HTTP1 or _HTTP2. Plain bytes may follow at once. */
  void (*handshaken)(wh_connection *connection, unsigned protocol);
  /* Failed: the alert is sent, and the connection is about to be closed. A reason for logs. */
  void (*failed)(wh_connection *connection, const char *reason);
} wh_tls_events;

/* TLS for an accepted connection; holds a reference to `tls`. NULL: no memory. */
wh_filter *wh_tls_open(wh_tls *tls, const wh_tls_events *events);
/*
 * Goes on with the handshake of a connection whose filter this is. `scratch` is memory in the arena,
 * of wh_tls_waiting(filter) + WH_FILTER_SPARE bytes, for plain bytes that came behind it.
 */
size_t wh_tls_waiting(const wh_filter *filter);
void wh_tls_handshake(wh_filter *filter, wh_connection *connection, uint8_t *scratch);

/* What is known of a connection's TLS. Pointers are valid until the connection is gone. */
typedef struct wh_tls_facts {
  const char *protocol;  /* "TLSv1.3" */
  const char *cipher;    /* OpenSSL's name, such as "TLS_AES_128_GCM_SHA256" */
  const char *alpn;      /* "h2", "http/1.1" or "" */
  const char *host_name; /* by SNI; "" where the client named none */
  const char *group;     /* of the key exchange; "" where unknown */
  int cipher_bits;
  int resumed;
  int verified; /* the client's certificate: 1 verified, 0 not, -1 there is none */
} wh_tls_facts;
void wh_tls_get_facts(const wh_filter *filter, wh_tls_facts *out);
/*
 * The client's certificate (index 0) and those above it, as DER. Its length, 0 where there is none;
 * writes to `out` if it fits into `size`.
 */
size_t wh_tls_peer_certificate(const wh_filter *filter, size_t index, uint8_t *out, size_t size);
/*
 * RFC 9266 tls-exporter binding, 32 bytes. WH_ERR_NOT_SUPPORTED where there is none: before the handshake
 * is done, and with TLS 1.2 where the client does not have the extended master secret.
 */
int wh_tls_channel_binding(const wh_filter *filter, uint8_t out[32]);

#endif
