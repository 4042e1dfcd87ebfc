/*
 * Minimum data rates (Kestrel's MinRequestBodyDataRate and MinResponseDataRate): of a body that the
 * application reads, and of answers that the client takes.
 *
 * A rate is measured in windows of one grace period, each on its own: so a client that was fast and
 * then stops is found within two of them, and one that is slow but keeps the rate never is. The time
 * in which we do not read, because the application is behind, does not count. What a client has taken
 * is what it has acknowledged, not what the system has buffered for it: one large write must keep up
 * the rate as it goes.
 *
 * Costs nothing while bodies come and answers go at once: what is measured is allocated when a body is
 * incomplete or the system takes no more.
 */
#ifndef WH_SERVER_PACE_H
#define WH_SERVER_PACE_H

#include "net/connection.h"

typedef struct wh_data_rate {
  int64_t bytes_per_second; /* WH_UNLIMITED = not measured */
  int64_t grace;            /* ms, the length of a window */
} wh_data_rate;

/* The body of a request is being read from this connection (1), or is not, or not now (0). */
void wh_pace_request(wh_connection *connection, int reading);
/* The body has ended: the next one is measured anew, by the server's rate. Only where pace is set. */
void wh_pace_body_ended(wh_connection *connection);
/* So many bytes came. Only where connection->pace is not NULL. */
void wh_pace_received(wh_connection *connection, size_t length);
/* An answer waits for the client (1), or does no longer (0). */
void wh_pace_response(wh_connection *connection, int blocked);
/* The connection idles again: the next answer is measured by the server's rate. Only where pace is set. */
void wh_pace_answered(wh_connection *connection);
/* Another rate for the body of the running request, or for its answer. */
void wh_pace_set_rate(wh_connection *connection, int of_response, wh_data_rate rate);
/* The connection is going. */
void wh_pace_end(wh_connection *connection);

#endif
