/*
 * What a socket is called on this platform, so that no other header needs to know.
 */
#ifndef WH_NET_SOCKET_H
#define WH_NET_SOCKET_H

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
typedef SOCKET wh_socket;
#define WH_SOCKET_NONE INVALID_SOCKET
#else
#include <sys/socket.h>
typedef int wh_socket;
#define WH_SOCKET_NONE (-1)
#endif

#endif
