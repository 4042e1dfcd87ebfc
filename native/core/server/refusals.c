/* How the server answers requests that it refuses: prepared once, written by the protocols. */
#include <string.h>

#include "base/memory.h"
#include "server/server_internal.h"

int wh_server_set_refusal(wh_server *server, unsigned reason, const char *head, size_t head_length,
                          const char *body, size_t body_length) {
  if (reason == WH_REFUSED_NOTHING || reason >= WH_REFUSAL_COUNT) return WH_ERR_INVALID_ARGUMENT;
  char *copy = wh_alloc(head_length + body_length + 1);
  if (copy == NULL) return WH_ERR_NO_MEMORY;
  if (head_length > 0) memcpy(copy, head, head_length);
  if (body_length > 0) memcpy(copy + head_length, body, body_length);
  wh_refusal_answer *answer = &server->refusal_answers[reason];
  wh_free((void *)answer->head);
  *answer = (wh_refusal_answer){.head = copy,
                                .head_length = head_length,
                                .body = copy + head_length,
                                .body_length = body_length};
  return WH_OK;
}

int wh_server_init_refusals(wh_server *server) {
  for (unsigned i = WH_REFUSED_NOTHING; i < WH_REFUSAL_COUNT; i++) {
    server->refusal_answers[i] = (wh_refusal_answer){.head = NULL, .body = NULL};
  }
  server->service.refusal_answers = server->refusal_answers;
  for (unsigned i = WH_REFUSED_NOTHING + 1; i < WH_REFUSAL_COUNT; i++) {
    int error = wh_server_set_refusal(server, i, "", 0, "", 0);
    if (error != WH_OK) return error;
  }
  /* Who speaks TLS to this port cannot know why it fails: this answer says so (Kestrel's TlsOverHttp). */
  static const char head[] = "Content-Type: text/plain; charset=utf-8\r\n";
  const char *text = wh_refusal_table[WH_REFUSED_TLS_ON_CLEARTEXT].text;
  return wh_server_set_refusal(server, WH_REFUSED_TLS_ON_CLEARTEXT, head, sizeof head - 1, text,
                               strlen(text));
}

void wh_server_free_refusals(wh_server *server) {
  for (unsigned i = 0; i < WH_REFUSAL_COUNT; i++) wh_free((void *)server->refusal_answers[i].head);
}
