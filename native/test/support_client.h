/*
 * A small raw HTTP client over a real socket. It is turned by the app that it belongs to: what it sends
 * leaves, and what comes is read, while the test waits with RUN_UNTIL or one of the expect functions.
 */
#ifndef WH_TEST_SUPPORT_CLIENT_H
#define WH_TEST_SUPPORT_CLIENT_H

#include "support_app.h"

struct client {
  app *app;
  client *next;
  int fd;
  uint8_t *in; /* received, from `taken` on not looked at yet */
  size_t in_length, in_room, taken;
  uint8_t *out; /* to be sent */
  size_t out_length, sent;
  int half_close; /* end our side once all is sent */
  int deaf;       /* does not read */
  int ended;      /* the server has ended its side */
  int reset;      /* ... by a reset */
};

/* One answer; its parts belong to the client's memory of answers, until the next one. */
typedef struct client_answer {
  int status;
  char *head; /* status line and fields, with their CRLFs, NUL-terminated */
  uint8_t *body;
  size_t length;
  int chunked, close, has_length;
  size_t content_length;
} client_answer;

client *client_open(app *app);
client *client_open_unix(app *app, const char *path);
/* Over a connected descriptor, which becomes the client's. */
client *client_over(app *app, int fd);
void client_send(client *client, const void *bytes, size_t length);
void client_text(client *client, const char *text);
/* Ends our side after what was sent. */
void client_half_close(client *client);
void client_close(client *client);
void client_reset(client *client);
/* Called by the app. Whether something happened. */
int client_pump(client *client);
void client_free_all(app *app);

/* Bytes received and not taken. */
size_t client_waiting(const client *client);
/* Whether a whole answer is there; to_head: it has no body whatever it says. */
int client_has_answer(const client *client, int to_head);
/* Waits for the next answer and takes it. Free its parts with client_answer_free. */
client_answer client_take(client *client, int to_head);
void client_answer_free(client_answer *answer);
/* Expects this status and body (NULL: any). */
void client_expect(client *client, int status, const char *body);
/* The same to a HEAD: no body, and Content-Length (below 0: none). */
void client_expect_head(client *client, int status, long content_length);
/* Expects an answer with a line (without CRLF) among its fields, and any body. */
void client_expect_line(client *client, int status, const char *line);
/* Whether an answer has the line. */
int client_answer_has(const client_answer *answer, const char *line);
/* Expects the end of the connection, with nothing before it. */
void client_expect_end(client *client);
/* Expects a refusal, which is: this status, no body, Connection: close, and the end. */
void client_expect_refusal(client *client, int status);
/* Expects that a quiet world has brought this client nothing. */
void client_expect_nothing(client *client);
/* GET target and a Host, without anything else. */
void client_get(client *client, const char *target);

#endif
