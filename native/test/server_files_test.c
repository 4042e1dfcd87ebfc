/* Files as bodies of answers: framing, order, and what becomes of a descriptor when things end early. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support_client.h"

#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#define H "Host: h\r\n"
#define RELEASE WH_COMMAND_FLAG_RELEASE
#define LARGE 20000000U

static int make_file(const char *text, size_t size) {
  int file = memfd_create("file", MFD_CLOEXEC);
  if (text != NULL) assert_int_equal(write(file, text, strlen(text)), strlen(text));
  if (size > 0) assert_int_equal(ftruncate(file, (off_t)size), 0);
  return file;
}

static size_t descriptors(void) {
  size_t count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

/* A client whose connection the server has, so that its descriptor counts on both sides. */
static client *connected(app *a) {
  client *c = client_open(a);
  RUN_UNTIL(a, app_connections(a) == 1);
  return c;
}

static app_request *ask(app *a, client *c, const char *text) {
  size_t number = a->request_count;
  client_text(c, text);
  RUN_UNTIL_REQUESTS(a, number + 1);
  return app_request_at(a, number);
}

static void is_the_body_by_its_length(void **state) {
  app *a = *state;
  client *c = connected(a);
  size_t before = descriptors();
  for (int i = 0; i < 3; i++) {
    app_request *r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
    app_start(r, 200, 0, "X: y\r\n", 5);
    app_file(r, 0, make_file("0hello9", 0), 1, 5);
    RUN_UNTIL(a, r->file_done == 1);
    assert_int_equal(r->file_result, WH_FILE_RESULT_SENT);
    app_end(r, RELEASE);
    client_expect(c, 200, "hello");
  }
  assert_int_equal(descriptors(), before);
}

static void is_a_chunk_among_others(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
  app_start(r, 200, 0, NULL, -1);
  app_write(r, 0, BYTES("["));
  app_file(r, 0, make_file("a file of more than fifteen bytes", 0), 0, 33);
  app_write(r, 0, BYTES("]"));
  app_end(r, RELEASE);
  client_expect(c, 200, "[a file of more than fifteen bytes]");
}

static void goes_out_until_the_end_on_http_10(void **state) {
  app *a = *state;
  client *c = client_open(a);
  app_request *r = ask(a, c, "GET / HTTP/1.0\r\n\r\n");
  app_start(r, 200, 0, NULL, -1);
  app_file(r, 0, make_file("hello", 0), 0, 5);
  app_end(r, RELEASE);
  RUN_UNTIL(a, c->ended);
  client_expect(c, 200, "hello");
}

static void has_no_bytes_where_there_is_no_body(void **state) {
  app *a = *state;
  client *c = connected(a);
  size_t before = descriptors();
  app_request *r = ask(a, c, "HEAD / HTTP/1.1\r\n" H "\r\n");
  app_start(r, 200, 0, NULL, 5);
  app_file(r, 0, make_file("hello", 0), 0, 5);
  RUN_UNTIL(a, r->file_done == 1);
  app_end(r, RELEASE);
  client_expect_head(c, 200, 5);
  const unsigned statuses[] = {204, 304};
  for (size_t i = 0; i < COUNT(statuses); i++) {
    r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
    app_start(r, statuses[i], 0, NULL, -1);
    app_file(r, 0, make_file("hello", 0), 0, 5);
    RUN_UNTIL(a, r->file_done == 1);
    app_end(r, RELEASE);
    client_expect(c, (int)statuses[i], "");
  }
  r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
  app_start(r, 200, 0, NULL, 0);
  app_file(r, 0, make_file("hello", 0), 2, 0);
  RUN_UNTIL(a, r->file_done == 1);
  app_end(r, RELEASE);
  client_expect(c, 200, "");
  assert_int_equal(descriptors(), before);
}

static void waits_for_its_turn(void **state) {
  app *a = *state;
  client *c = connected(a);
  size_t before = descriptors();
  client_text(c, "GET /0 HTTP/1.1\r\n" H "\r\nGET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H
                 "\r\n");
  RUN_UNTIL_REQUESTS(a, 3);
  for (size_t i = 3; i-- > 0;) {
    app_request *r = app_request_at(a, i);
    app_start(r, 200, 0, NULL, 3);
    app_file(r, 0, make_file("abcdefghi", 0), i * 3, 3);
    if (i > 0) {
      app_quiet(a);
      assert_int_equal(r->file_done, 0);
    }
    app_end(r, RELEASE); /* does not wait for it */
  }
  client_expect(c, 200, "abc");
  client_expect(c, 200, "def");
  client_expect(c, 200, "ghi");
  app_quiet(a);
  assert_int_equal(descriptors(), before);
}

/* A sender whose client stops is stopped too, and neither memory nor time go into it. */
static void a_client_that_pauses_stops_it(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  app_request *r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
  app_start(r, 200, 0, NULL, LARGE);
  app_file(r, 0, make_file(NULL, LARGE), 0, LARGE);
  app_quiet(a);
  assert_int_equal(r->file_done, 0);
  c->deaf = 0;
  RUN_UNTIL(a, r->file_done == 1);
  app_end(r, RELEASE);
  client_answer answer = client_take(c, 0);
  assert_int_equal(answer.length, LARGE);
  client_answer_free(&answer);
}

static void a_client_that_goes_lets_it_go(void **state) {
  app *a = *state;
  size_t before = descriptors();
  client *c = client_open(a);
  c->deaf = 1;
  client_text(c, "GET /0 HTTP/1.1\r\n" H "\r\nGET /1 HTTP/1.1\r\n" H "\r\n");
  RUN_UNTIL_REQUESTS(a, 2);
  for (size_t i = 0; i < 2; i++) { /* the second waits for its turn */
    app_request *r = app_request_at(a, i);
    app_start(r, 200, 0, NULL, LARGE);
    app_file(r, 0, make_file(NULL, LARGE), 0, LARGE);
  }
  app_quiet(a);
  client_reset(c);
  RUN_UNTIL(a, app_request_at(a, 0)->aborted == 1 && app_request_at(a, 1)->aborted == 1);
  assert_int_equal(app_request_at(a, 0)->file_done, 0);
  app_file(app_request_at(a, 0), 0, make_file("late", 0), 0, 4);
  app_release(app_request_at(a, 0));
  app_file(app_request_at(a, 0), 0, make_file("later", 0), 0, 4);
  app_quiet(a);
  assert_int_equal(descriptors(), before);
}

static void a_file_that_shrinks_is_told_to_both(void **state) {
  app *a = *state;
  client *c = client_open(a);
  c->deaf = 1;
  app_request *r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
  int file = make_file(NULL, LARGE);
  app_start(r, 200, 0, NULL, LARGE);
  app_file(r, 0, file, 0, LARGE);
  app_quiet(a);
  assert_int_equal(ftruncate(file, 100), 0);
  c->deaf = 0;
  RUN_UNTIL(a, r->file_done == 1);
  assert_int_equal(r->file_result, WH_FILE_RESULT_TRUNCATED);
  RUN_UNTIL(a, r->aborted == 1 && c->ended);
  assert_true(c->reset);
  app_release(r);
  app_quiet(a);
  assert_int_equal(app_in_use(a), 0);
}

static void what_does_not_fit_is_not_sent(void **state) {
  app *a = *state;
  size_t before = descriptors();
  client *c = client_open(a);
  app_request *r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
  app_file(r, 0, make_file("hello", 0), 0, 5); /* before the head */
  app_quiet(a);
  client_expect_nothing(c);
  app_start(r, 200, 0, NULL, 3);
  app_file(r, 0, make_file("hello", 0), 0, 5); /* more than declared */
  RUN_UNTIL(a, c->ended);
  assert_true(c->reset);
  app_release(r);
  client *other = client_open(a);
  r = ask(a, other, "GET / HTTP/1.1\r\n" H "\r\n");
  app_start(r, 200, 0, NULL, 5);
  app_file(r, 0, make_file("hello", 0), 0, 5);
  app_end(r, 0);
  app_file(r, 0, make_file("hello", 0), 0, 5); /* behind the end */
  client_expect(other, 200, "hello");
  app_release(r);
  app_quiet(a);
  client_close(c);
  client_close(other);
  RUN_UNTIL(a, app_connections(a) == 0);
  assert_int_equal(descriptors(), before);
}

static void a_server_that_ends_lets_them_go(void **state) {
  (void)state;
  size_t before = descriptors();
  for (int way = 0; way < 3; way++) {
    app *a = app_new(NULL, NULL);
    client *c = client_open(a);
    c->deaf = 1;
    app_request *r = ask(a, c, "GET / HTTP/1.1\r\n" H "\r\n");
    app_start(r, 200, 0, NULL, LARGE);
    app_file(r, 0, make_file(NULL, LARGE), 0, LARGE);
    if (way > 0) app_quiet(a); /* otherwise the command has not been taken */
    if (way == 1) {
      wh_server_abort(a->server);
      app_quiet(a);
      assert_int_equal(r->aborted, 1);
    }
    app_destroy(a);
    assert_int_equal(descriptors(), before);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      APP_TEST(is_the_body_by_its_length),
      APP_TEST(is_a_chunk_among_others),
      APP_TEST(goes_out_until_the_end_on_http_10),
      APP_TEST(has_no_bytes_where_there_is_no_body),
      APP_TEST(waits_for_its_turn),
      APP_TEST(a_client_that_pauses_stops_it),
      APP_TEST(a_client_that_goes_lets_it_go),
      APP_TEST(a_file_that_shrinks_is_told_to_both),
      APP_TEST(what_does_not_fit_is_not_sent),
      cmocka_unit_test(a_server_that_ends_lets_them_go),
  };
  return cmocka_run_group_tests_name("server_files", tests, NULL, NULL);
}
