/* What the files of tls/ share. tls.h is the face. */
#ifndef WH_TLS_TLS_INTERNAL_H
#define WH_TLS_TLS_INTERNAL_H

#include "tls/openssl.h"
#include "tls/tls.h"

/* A certificate that a site presents. */
typedef struct tls_identity {
  X509 *certificate;
  EVP_PKEY *key;
  STACK_OF(X509) * chain; /* of those above it; may be NULL */
} tls_identity;

/* A response to be stapled to one certificate. */
typedef struct tls_staple {
  const X509 *certificate; /* the context's */
  uint8_t *response;
  size_t length;
} tls_staple;

/* What clients get that name such a host. */
typedef struct tls_site {
  /* Lower case. "a.example"; of "*.example" ".example"; of "*" "". */
  char *name;
  SSL_CTX *context;
  unsigned protocols;
  int least_version, greatest_version;
  int verify_mode; /* SSL_VERIFY_... */
  int any_client_certificate;
  uint8_t session_context[32]; /* sessions are resumed where this is the same */
  tls_staple *staples;
  size_t staple_count;
} tls_site;

typedef struct tls_ticket_key {
  uint8_t name[16], mac[32], cipher[32];
} tls_ticket_key;

/* Ciphers of TLS 1.3 whose records direct.c seals and opens: 0x1301 to 0x1303, RFC 8446, appendix B.4. */
#define TLS_DIRECT_FIRST 0x1301
#define TLS_DIRECT_CIPHERS 3

typedef struct tls_hash {
  EVP_MD *digest;
  EVP_MD_CTX *context; /* used for one hash at a time */
  size_t block;
} tls_hash;

struct wh_tls {
  size_t references;
  tls_site *sites; /* by name */
  size_t site_count;
  const tls_site *first; /* whose context connections begin with: that of "*" where there is one */
  BIO_METHOD *wire;
  int tickets;
  EVP_CIPHER *ticket_cipher;
  tls_ticket_key *keys; /* the first one seals */
  size_t key_count;
  EVP_CIPHER *direct_ciphers[TLS_DIRECT_CIPHERS];
  tls_hash direct_hashes[2]; /* SHA-256, SHA-384 */
};

enum tls_phase {
  TLS_HANDSHAKING,
  TLS_OPEN,
  TLS_OVER /* failed: nothing goes in or out any more */
};

enum tls_result {
  TLS_GOING_ON,
  TLS_ENDED, /* the peer has said so */
  TLS_BROKEN /* what is to be said about it is written to the wire */
};

typedef struct tls_direct tls_direct;

typedef struct tls_filter {
  wh_filter base;
  wh_tls *tls;
  const wh_tls_events *events;
  SSL *ssl; /* NULL until there are bytes of a handshake */
  const tls_site *site;
  /* What OpenSSL reads from, and where it writes to, while a function of its own runs. */
  const uint8_t *source;
  size_t source_length;
  wh_wire *wire;
  /* Where records are sealed and opened without OpenSSL's record layer; else NULL. */
  tls_direct *direct;
  /* Bytes that wait for wh_tls_handshake; later, the beginning of a record of `direct`. */
  uint8_t *held;
  size_t held_length, held_size;
  char *server_name;     /* that the client named, lower case; NULL = none */
  const char *violation; /* why the connection cannot go on, where OpenSSL would let it */
  uint32_t handshake_bytes;
  uint16_t controls;        /* steps of messages that are no data, since the last data */
  uint8_t phase;            /* enum tls_phase */
  uint8_t due : 1;          /* handshake_due was told */
  uint8_t paused : 1;       /* reads nothing until the handshake goes on */
  uint8_t wire_ended : 1;   /* the wire has, during the handshake */
  uint8_t peer_ended : 1;   /* the owner was told of the end */
  uint8_t notified : 1;     /* the peer's close_notify has come */
  uint8_t starved : 1;      /* OpenSSL asked for bytes and there were none */
  uint8_t no_memory : 1;    /* for the wire */
  uint8_t ended : 1;        /* our side */
  uint8_t seal_waits : 1;   /* the connection wanted to write and could not */
  uint8_t secrets_come : 1; /* those of the records are what OpenSSL derives next */
  uint8_t ticket_due : 1;   /* TLS 1.3: one goes out before the first data */
} tls_filter;

/* Puts "text: why" into the message, `why` being OpenSSL's reason, and clears its errors. */
void tls_explain(char *message, size_t size, const char *text);
/* An allocation of OpenSSL's failed: what its errors say. Clears nothing. */
int tls_out_of_memory(void);

/* certificates.c */

/* Reads and checks it. 0, WH_ERR_INVALID_ARGUMENT or WH_ERR_NO_MEMORY with a message. */
int tls_identity_read(const wh_tls_identity *in, tls_identity *out, char *message, size_t size);
void tls_identity_free(tls_identity *identity);
/* All certificates of a PEM text, or one in DER; there is one at least. As above. */
int tls_read_certificates(const uint8_t *data, size_t length, STACK_OF(X509) * *out, char *message,
                          size_t size);
void tls_free_certificates(STACK_OF(X509) * certificates);
int tls_certificate_count(const STACK_OF(X509) * certificates);
X509 *tls_certificate_at(const STACK_OF(X509) * certificates, int index);

/* sites.c */

/* Makes the site of a host. As above; whatever the result, tls_site_free follows. */
int tls_site_make(wh_tls *tls, const wh_tls_settings *settings, const wh_tls_host *host,
                  tls_site *out, char *message, size_t size);
void tls_site_free(tls_site *site);
/* What judges clients' certificates there. Never NULL: OpenSSL would keep another site's. */
SSL_verify_cb tls_verify_callback(const tls_site *site);
/* Puts them in order. 0, or WH_ERR_INVALID_ARGUMENT where two have the same name. */
int tls_sites_sort(tls_site *sites, size_t count, char *message, size_t size);

/* hello.c */

/* The site for a host name in lower case; NULL where there is none. */
const tls_site *tls_site_find(const wh_tls *tls, const char *name, size_t length);
/* Reads the client's greeting: which site it is for, and that site's rules. OpenSSL's callback. */
int tls_on_client_hello(SSL *ssl, int *alert, void *user);
/* Chooses the protocol. OpenSSL's callback. */
int tls_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                const unsigned char *in, unsigned in_length, void *user);

/* tickets.c */

/* Takes the keys of the settings, or makes one. 0 or an error. */
int tls_tickets_init(wh_tls *tls, const wh_tls_settings *settings);
void tls_tickets_free(wh_tls *tls);
/* OpenSSL's callback. */
int tls_on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int seal);

/* direct.c */

/* What all connections share. 0 or WH_ERR_NO_MEMORY; whatever the result, tls_direct_release follows. */
int tls_direct_init(wh_tls *tls);
void tls_direct_release(wh_tls *tls);
/* Before OpenSSL goes on with a handshake: makes it tell the secrets of the records when they come. */
void tls_log_keys(const tls_filter *filter);
/* Takes the secrets of the records. OpenSSL's callback. */
void tls_on_key_log(const SSL *ssl, const char *line);
/* The handshake is done: takes the records over from OpenSSL. Whether it does; else OpenSSL goes on. */
int tls_direct_start(tls_filter *filter);
void tls_direct_free(tls_filter *filter);
/* What a record is longer than its data. */
#define TLS_DIRECT_EXTRA 22U
/*
 * Opens records to `plain`, and counts what is data there in `used`; the filter has its wire. Where the
 * result is not TLS_GOING_ON nothing more is to be opened.
 */
enum tls_result tls_direct_open(tls_filter *filter, const uint8_t *data, size_t length,
                                uint8_t *plain, size_t *used);
/* Seals all of it. How much, or -1: nothing can be sealed any more. */
ssize_t tls_direct_seal(tls_filter *filter, const uint8_t *data, size_t length, wh_wire *wire);
/* Says that our side ends. */
void tls_direct_end(tls_filter *filter, wh_wire *wire);

/* wire.c */

/* How OpenSSL reads and writes; NULL: no memory. */
BIO_METHOD *tls_wire_method(void);
/* Makes the filter's SSL. 0 or WH_ERR_NO_MEMORY. */
int tls_wire_open(tls_filter *filter);
/* What happens in a connection. OpenSSL's callback. */
void tls_on_info(const SSL *ssl, int where, int value);

static inline tls_filter *tls_filter_of(const SSL *ssl) {
  return (tls_filter *)wh_openssl.SSL_get_ex_data(ssl, 0);
}

#endif
