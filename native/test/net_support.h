/*
 * What the tests of listening share: endpoints, clients, and a folder of our own. Failing inside a
 * helper fails the test.
 */
#ifndef WH_TEST_NET_SUPPORT_H
#define WH_TEST_NET_SUPPORT_H

#include <stdint.h>
#include <sys/un.h>

#include "net/listen.h"

/* The folder of this run, empty between tests; the message of the last call. */
extern char net_folder[64];
extern char net_message[WH_MESSAGE_SIZE];

/* Set-up and tear-down of a group. The latter fails if a test left a file behind. */
int net_make_folder(void **state);
int net_remove_folder(void **state);
int net_files_in_folder(void);

wh_endpoint net_endpoint_of(const char *url);
/* The endpoint of a Unix socket in the folder. */
wh_endpoint net_unix_endpoint(const char *name);
wh_address net_literal(int family, const char *text, uint16_t port);

int net_listen_on(const wh_endpoint *endpoint, wh_listening *out);
wh_listening net_must_listen(const wh_endpoint *endpoint);
/* Expects this error, with a message that names the endpoint and has this part. */
void net_expect_failure(const wh_endpoint *endpoint, int error, const char *part);
void net_expect_url(const wh_listening *listening, size_t index, int https, const char *expected);

/* A client's connection, or -1 and errno. */
int net_connect_ip(int family, const char *ip, uint16_t port);
int net_connect_unix(const char *path);
/* The connection that a listener has; waits for it, since the handshake may still be going on. */
int net_accept_at(int listener);

int net_option_of(int fd, int level, int option);
struct sockaddr_un net_unix_name(const char *path);
/* Leaves a socket file behind on which nobody listens, as a server that crashed does. */
void net_make_stale(const char *path);

int net_has_ipv6(void);
#define NEEDS_IPV6()                                               \
  if (!net_has_ipv6()) {                                           \
    print_message("skipped: this machine has no IPv6 loopback\n"); \
    skip();                                                        \
  }

#endif
