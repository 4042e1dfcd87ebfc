/* Requests that are refused: when they are answered, and with what. */
#include <string.h>

#include "http/http1_session.h"

void wh_http1_refuse(wh_http1 *session, wh_refusal reason) {
  wh_http_service *service = session->service;
  wh_http1_tell_refused(session, reason);
  session->state = STATE_CLOSED;
  if (session->draining) {
    /* This request has its answer: a second one would be taken for the next request's. */
    session->over = 1;
    service->transport->finish(session->connection, 1);
    return;
  }
  session->refusal = (uint8_t)reason;
  wh_exchange *exchange = session->parsing;
  session->refused_head = exchange != NULL && exchange->head_only;
  session->parsing = NULL;
  if (exchange != NULL && !exchange->dispatched) {
    wh_http1_give(session, exchange);
  } else if (exchange != NULL) {
    /* The body is at fault, and the application has the request already. If its answer has not
       started, the refusal takes its place; else the answer is cut short. */
    exchange->body_done = 1;
    if (!exchange->aborted) {
      exchange->aborted = 1;
      service->receiver->aborted(service->user, exchange, wh_refusal_table[reason].status);
    }
    if (exchange->started) {
      session->refusal = WH_REFUSED_NOTHING;
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

/* GOAWAY with HTTP_1_1_REQUIRED, no stream taken (RFC 9113 section 6.8): what its client can read. */
static const uint8_t goaway[] = {0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d};

void wh_http1_write_refusal(wh_http1 *session) {
  const wh_transport *transport = session->service->transport;
  if (session->preface) {
    transport->append(session->connection, goaway, sizeof goaway);
    wh_http1_end_connection(session);
    session->refusal = WH_REFUSED_NOTHING;
    return;
  }
  const wh_refusal_answer *made = &session->service->refusal_answers[session->refusal];
  static const char options[] = "Allow: OPTIONS\r\n", connect[] = "Allow: CONNECT\r\n";
  /* A target of CONNECT allows no method (RFC 9110 section 10.2.1: the field may be empty). */
  const char *allow = session->refusal == WH_REFUSED_CONNECT ? "Allow: \r\n"
                      : session->allow_options               ? options
                      : session->allow_connect               ? connect
                                                             : "";
  size_t allow_length = strlen(allow);
  wh_answer answer = {
      .status = wh_refusal_table[session->refusal].status,
      .flags = WH_COMMAND_FLAG_CLOSE,
      .head = (const uint8_t *)allow,
      .head_length = allow_length,
  };
  wh_exchange none = {.minor_version = 1};
  uint8_t *start = transport->reserve(
      session->connection, WH_HEAD_OVERHEAD + allow_length + made->head_length + made->body_length);
  if (start == NULL) return;
  uint8_t *out =
      wh_http1_put_head(start, session, &none, &answer, WH_FRAMING_LENGTH, made->body_length) -
      2; /* the prepared lines go before the empty one */
  memcpy(out, made->head, made->head_length);
  out += made->head_length;
  memcpy(out, "\r\n", 2);
  out += 2;
  if (!session->refused_head) {
    memcpy(out, made->body, made->body_length);
    out += made->body_length;
  }
  transport->commit(session->connection, (size_t)(out - start));
  wh_http1_end_connection(session);
  session->refusal = WH_REFUSED_NOTHING;
}
