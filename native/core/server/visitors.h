/*
 * Visitors: connections of endpoints with a gate. Private to server/. One thread: the loop's.
 */
#ifndef WH_SERVER_VISITORS_H
#define WH_SERVER_VISITORS_H

#include "server/server_internal.h"

struct iovec;

/* A connection came to an endpoint with a gate: serves, holds or closes it. */
void wh_visitor_arrives(wh_server_endpoint *endpoint, int fd, const wh_address *peer);
/* The outbox's tap; see net/connection.h. */
void wh_visitor_tap(wh_connection *connection, int sent, const struct iovec *parts, size_t length);

#endif
