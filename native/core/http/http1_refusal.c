/* Requests that are refused: by whom they are answered, and with what. */
#include "http/http1_session.h"

void wh_http1_refuse(wh_http1 *session, wh_refusal reason, unsigned status) {
  wh_http_service *service = session->service;
  service->refusals[reason]++;
  service->receiver->refused(service->user, reason, status);
  session->state = STATE_CLOSED;
  if (session->draining) {
    /* This request has its answer: a second one would be taken for the next request's. */
    session->over = 1;
    service->transport->finish(session->connection, 1);
    return;
  }
  session->refusal_status = (uint16_t)status;
  wh_exchange *exchange = session->parsing;
  session->parsing = NULL;
  if (exchange != NULL && !exchange->dispatched) {
    wh_http1_give(session, exchange);
  } else if (exchange != NULL) {
    /* The body is at fault, and the application has the request already. If its answer has not
       started, the refusal takes its place; else the answer is cut short. */
    exchange->body_done = 1;
    if (!exchange->aborted) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, status);
    }
    if (exchange->started) {
      session->refusal_status = 0;
      session->over = 1;
      service->transport->close(session->connection, 1);
      return;
    }
    exchange->ended = 1;
    exchange->close = 0; /* the refusal itself ends the connection */
    if (session->first == exchange) wh_http1_answered(session, exchange);
    return;
  }
  if (session->first == NULL) wh_http1_write_refusal(session);
}
