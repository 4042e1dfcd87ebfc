/*
 * The end of listening without losing anybody.
 *
 * Who closes a listening socket resets every connection that waits in its queue, although each of
 * those clients was told that it is connected and may have sent its request. So: refuse new ones
 * (wh_listening_refuse), accept what is there, and close when nobody is on the way any more
 * (wh_listening_arriving).
 */
#ifndef WH_NET_LISTEN_END_H
#define WH_NET_LISTEN_END_H

#include "net/listen.h"

/*
 * The system takes no new connections for this listening from now on; those that it has taken can
 * still be accepted. What it can do about that differs:
 *
 * Unix sockets: the file goes, and who found the socket before is refused; nobody is on the way.
 * TCP on Linux: SYNs are dropped, so those clients try again a second later and are refused by then
 *   (or find the server that took the port over); handshakes under way go on. Connections that the
 *   system holds back until their first bytes (wh_listening_defer) are let go.
 * Inherited sockets: nothing, for whoever else has them goes on; the queue stays theirs too.
 * Elsewhere nothing: who comes between the last accept and the close is reset.
 */
void wh_listening_refuse(wh_listening *listening);

/*
 * Whether clients are on the way: they may believe that they are connected, and cannot be accepted
 * yet. 0 or 1; -1 where that cannot be told: no sock_diag, not Linux, or a port that others may share
 * (SO_REUSEPORT). Takes some milliseconds at most.
 */
int wh_listening_arriving(const wh_listening *listening);

#endif
