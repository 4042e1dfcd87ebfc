#ifndef _WIN32 /* Windows: a file of its own, later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "net/listen_end.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "net/listen_private.h"

#ifdef __linux__
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/*
 * Drops segments that open a connection (SYN without ACK) and lets all others pass: the last ACK of a
 * handshake above all, whose client believes already that it is connected. A socket filter sees TCP
 * from the first byte of its header, for IPv4 and IPv6 alike; byte 13 has the flags. It needs no
 * privilege. Accepted sockets inherit it, where it does no harm: nobody sends them a SYN.
 *
 * The other ways lose clients: shutdown(2) throws the queue away, listen(2) with a backlog of 0 lets
 * one in, and a filter that drops everything drops that last ACK.
 */
static void drop_syns(int fd) {
  enum { FLAGS_OFFSET = 13, SYN = 0x02, ACK = 0x10 };
  static const struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_OFFSET),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
  };
  struct sock_fprog program = {
      .len = sizeof code / sizeof *code, .filter = (struct sock_filter *)code, /* only read */
  };
  /* Where it fails (a sandbox, no memory), all is as it is on other systems. */
  (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void wh_listening_refuse(wh_listening *listening) {
  /* An inherited socket is its owner's too: what we set on it would hold for everybody. */
  if (listening->count == 0 || listening->inherited) return;
  if (listening->unix_socket) {
    /* Before we refuse: what refuses counts as stale, and the next server puts its own there. */
    wh_listen_remove_unix(listening);
    /* Queued connections stay; accept hands them out and then says that there are none. */
    for (size_t i = 0; i < listening->count; i++) shutdown(listening->fds[i], SHUT_RD);
    return;
  }
  /* What is held back until it sends would never reach the queue: to the system it is half open. */
  wh_listening_defer(listening, 0);
  for (size_t i = 0; i < listening->count; i++) drop_syns(listening->fds[i]);
}

/* 1 where the system knows half-open connections to the port, 0 where it knows none, -1 no answer. */
static int has_half_open(int netlink, uint8_t family, uint16_t port) {
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } ask;
  memset(&ask, 0, sizeof ask);
  ask.header.nlmsg_len = sizeof ask;
  ask.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  ask.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.request.sdiag_family = family;
  ask.request.sdiag_protocol = IPPROTO_TCP;
  ask.request.idiag_states = 1U << TCP_SYN_RECV;
  ask.request.id.idiag_sport = htons(port);
  ssize_t length;
  do {
    length = send(netlink, &ask, sizeof ask, 0);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return -1;
  for (;;) {
    union {
      struct nlmsghdr header;
      uint8_t bytes[8192];
    } told;
    /* The answer is made within send and recv: there is nothing to wait for. */
    do {
      length = recv(netlink, &told, sizeof told, MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    if (length < (ssize_t)sizeof told.header) return -1;
    if (told.header.nlmsg_type == NLMSG_DONE) return 0;
    return told.header.nlmsg_type == SOCK_DIAG_BY_FAMILY ? 1 : -1;
  }
}

/* Whether others listen on the port too, or may: their clients cannot be told from ours. */
static int shares_port(int fd) {
  int shares = 0;
  socklen_t size = sizeof shares;
  return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shares, &size) == 0 && shares;
}

int wh_listening_arriving(const wh_listening *listening) {
  if (listening->count == 0 || listening->unix_socket || listening->inherited) return 0;
  if (shares_port(listening->fds[0])) return -1;
  int result = 0;
  for (size_t i = 0; i < listening->count && result == 0; i++) {
    const wh_address *bound = &listening->bound[i];
    /* A socket for each question: what is left of an answer must not be taken for the next one. */
    static const uint8_t families[] = {AF_INET, AF_INET6};
    size_t count = bound->family == WH_ADDRESS_IPV6 ? 2 : 1; /* it may take both */
    for (size_t n = 0; n < count && result == 0; n++) {
      int netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
      if (netlink < 0) return -1;
      result = has_half_open(netlink, families[n], bound->port);
      close(netlink);
    }
  }
  return result;
}

#else

void wh_listening_refuse(wh_listening *listening) {
  if (listening->count > 0 && listening->unix_socket && !listening->inherited)
    wh_listen_remove_unix(listening);
}

int wh_listening_arriving(const wh_listening *listening) {
  return listening->count == 0 || listening->unix_socket || listening->inherited ? 0 : -1;
}

#endif
#endif
