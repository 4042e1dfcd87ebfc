/*
 * OpenSSL, as far as it is used here. The library is the runtime's own (node exports it), so none of
 * its functions is an undefined symbol of ours: each is a member of one table that is filled when TLS is
 * first wanted, and code calls wh_openssl.SSL_read_ex(...). Where there is none (Bun, Deno, Electron),
 * everything but https works.
 *
 * Beware of the headers' macros that call functions by name (SSL_CTX_set_mode is SSL_CTX_ctrl) and of
 * their inline functions for stacks: use what they stand for, by the table.
 */
#ifndef WH_TLS_OPENSSL_H
#define WH_TLS_OPENSSL_H

#include <stddef.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define WH_OPENSSL_FUNCTIONS(F)           \
  F(SSL_CTX_new)                          \
  F(SSL_CTX_free)                         \
  F(SSL_CTX_ctrl)                         \
  F(SSL_CTX_callback_ctrl)                \
  F(SSL_CTX_set_options)                  \
  F(SSL_CTX_set_cipher_list)              \
  F(SSL_CTX_set_ciphersuites)             \
  F(SSL_CTX_use_cert_and_key)             \
  F(SSL_CTX_set_client_hello_cb)          \
  F(SSL_CTX_set_alpn_select_cb)           \
  F(SSL_CTX_set_verify)                   \
  F(SSL_CTX_set_client_CA_list)           \
  F(SSL_CTX_get_cert_store)               \
  F(SSL_CTX_set_default_verify_paths)     \
  F(SSL_CTX_set_session_id_context)       \
  F(SSL_CTX_set_tlsext_ticket_key_evp_cb) \
  F(SSL_CTX_set_num_tickets)              \
  F(SSL_CTX_set_timeout)                  \
  F(SSL_CTX_set_info_callback)            \
  F(SSL_CTX_set_keylog_callback)          \
  F(TLS_server_method)                    \
  F(SSL_new)                              \
  F(SSL_free)                             \
  F(SSL_ctrl)                             \
  F(SSL_set_bio)                          \
  F(SSL_set_accept_state)                 \
  F(SSL_set_SSL_CTX)                      \
  F(SSL_set_verify)                       \
  F(SSL_set_session_id_context)           \
  F(SSL_set_ex_data)                      \
  F(SSL_get_ex_data)                      \
  F(SSL_client_hello_get0_ext)            \
  F(SSL_do_handshake)                     \
  F(SSL_new_session_ticket)               \
  F(SSL_read_ex)                          \
  F(SSL_write_ex)                         \
  F(SSL_shutdown)                         \
  F(SSL_set_shutdown)                     \
  F(SSL_has_pending)                      \
  F(SSL_set_read_ahead)                   \
  F(SSL_want)                             \
  F(SSL_state_string)                     \
  F(SSL_version)                          \
  F(SSL_get_version)                      \
  F(SSL_get_certificate)                  \
  F(SSL_get_current_cipher)               \
  F(SSL_get_pending_cipher)               \
  F(SSL_CIPHER_get_name)                  \
  F(SSL_CIPHER_get_bits)                  \
  F(SSL_CIPHER_get_kx_nid)                \
  F(SSL_CIPHER_is_aead)                   \
  F(SSL_CIPHER_get_protocol_id)           \
  F(SSL_get0_alpn_selected)               \
  F(SSL_session_reused)                   \
  F(SSL_get_verify_result)                \
  F(SSL_get0_peer_certificate)            \
  F(SSL_get_peer_cert_chain)              \
  F(SSL_get0_verified_chain)              \
  F(SSL_export_keying_material)           \
  F(SSL_group_to_name)                    \
  F(BIO_meth_new)                         \
  F(BIO_meth_free)                        \
  F(BIO_meth_set_write_ex)                \
  F(BIO_meth_set_read_ex)                 \
  F(BIO_meth_set_ctrl)                    \
  F(BIO_new)                              \
  F(BIO_new_mem_buf)                      \
  F(BIO_free)                             \
  F(BIO_set_data)                         \
  F(BIO_get_data)                         \
  F(BIO_set_init)                         \
  F(BIO_set_flags)                        \
  F(PEM_read_bio_X509)                    \
  F(PEM_read_bio_PrivateKey)              \
  F(d2i_X509)                             \
  F(i2d_X509)                             \
  F(d2i_AutoPrivateKey)                   \
  F(d2i_PKCS8PrivateKey_bio)              \
  F(d2i_PKCS12_bio)                       \
  F(PKCS12_parse)                         \
  F(PKCS12_free)                          \
  F(X509_free)                            \
  F(X509_up_ref)                          \
  F(X509_check_issued)                    \
  F(X509_check_private_key)               \
  F(X509_get_extended_key_usage)          \
  F(X509_get_subject_name)                \
  F(X509_NAME_dup)                        \
  F(X509_NAME_free)                       \
  F(X509_STORE_add_cert)                  \
  F(X509_STORE_load_file)                 \
  F(X509_verify_cert_error_string)        \
  F(OPENSSL_sk_new_null)                  \
  F(OPENSSL_sk_push)                      \
  F(OPENSSL_sk_num)                       \
  F(OPENSSL_sk_value)                     \
  F(OPENSSL_sk_shift)                     \
  F(OPENSSL_sk_pop_free)                  \
  F(EVP_PKEY_free)                        \
  F(EVP_PKEY_get_base_id)                 \
  F(EVP_CIPHER_fetch)                     \
  F(EVP_CIPHER_free)                      \
  F(EVP_CIPHER_CTX_new)                   \
  F(EVP_CIPHER_CTX_free)                  \
  F(EVP_CIPHER_CTX_ctrl)                  \
  F(EVP_CIPHER_CTX_get_key_length)        \
  F(EVP_CipherInit_ex)                    \
  F(EVP_EncryptInit_ex)                   \
  F(EVP_EncryptUpdate)                    \
  F(EVP_EncryptFinal_ex)                  \
  F(EVP_DecryptInit_ex)                   \
  F(EVP_DecryptUpdate)                    \
  F(EVP_DecryptFinal_ex)                  \
  F(EVP_MAC_CTX_set_params)               \
  F(EVP_MD_fetch)                         \
  F(EVP_MD_free)                          \
  F(EVP_MD_CTX_new)                       \
  F(EVP_MD_CTX_free)                      \
  F(EVP_DigestInit_ex)                    \
  F(EVP_DigestUpdate)                     \
  F(EVP_DigestFinal_ex)                   \
  F(RAND_bytes)                           \
  F(CRYPTO_memdup)                        \
  F(OPENSSL_cleanse)                      \
  F(ERR_peek_last_error)                  \
  F(ERR_clear_error)                      \
  F(ERR_reason_error_string)

typedef struct wh_openssl_table {
#define WH_OPENSSL_MEMBER(name) __typeof__(name) *name; /* NOLINT(bugprone-macro-parentheses) */
  WH_OPENSSL_FUNCTIONS(WH_OPENSSL_MEMBER)
#undef WH_OPENSSL_MEMBER
} wh_openssl_table;

/* Filled by wh_openssl_load, and constant from then on. */
extern wh_openssl_table wh_openssl;

/*
 * Looks the functions up, once in the process. 0, or WH_ERR_NOT_SUPPORTED with a message that names the
 * first one missing. Any thread.
 */
int wh_openssl_load(char *message, size_t size);

/* Finds a function by its name, as dlsym does; NULL where there is none. */
typedef void *(*wh_openssl_lookup)(const char *name);
/* The same into any table, by any lookup: what wh_openssl_load does, for tests. */
int wh_openssl_fill(wh_openssl_table *table, wh_openssl_lookup lookup, char *message, size_t size);

#endif
