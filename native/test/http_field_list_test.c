#include "http/field_list.h"

#include "http_pieces.h"

enum {
  CLOSE = WH_CONNECTION_CLOSE,
  KEEP_ALIVE = WH_CONNECTION_KEEP_ALIVE,
  UPGRADE = WH_CONNECTION_UPGRADE,
  OTHER = WH_CONNECTION_OTHER,
  INVALID = WH_CONNECTION_INVALID
};

static void reads_connection_options(void **state) {
  (void)state;
  static const struct {
    const char *value;
    unsigned options;
  } rows[] = {
      {"", 0},
      {"close", CLOSE},
      {"CLOSE", CLOSE},
      {"Keep-Alive", KEEP_ALIVE},
      {"upgrade", UPGRADE},
      {"Upgrade", UPGRADE},
      {"keep-alive, Upgrade", KEEP_ALIVE | UPGRADE},
      {"keep-alive,Upgrade", KEEP_ALIVE | UPGRADE},
      {"keep-alive \t,\t Upgrade", KEEP_ALIVE | UPGRADE},
      {"keep-alive, foo", KEEP_ALIVE | OTHER},
      {"x, CLOSE", CLOSE | OTHER},
      {"keep-alive, close", KEEP_ALIVE | CLOSE},
      {",", 0},
      {", ,", 0},
      {",close,", CLOSE},
      {" , close , , upgrade", CLOSE | UPGRADE},
      {"close;x", INVALID},
      {"close x", INVALID},
      {"closed", OTHER},
      {"clos", OTHER},
      {"\"close\"", INVALID},
      {"TE", OTHER},
      {"keep_alive", OTHER},
      {"keep\ralive", INVALID},
      {"close, a b", CLOSE | INVALID},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].value);
    uint8_t *copy = exact_copy(rows[i].value, n);
    unsigned options = wh_connection_parse(copy, n);
    free(copy);
    check_row(options == rows[i].options, i, rows[i].value);
  }
}

static void takes_chunked_alone(void **state) {
  (void)state;
  static const struct {
    const char *value;
    int status;
  } rows[] = {
      {"chunked", 0},
      {"Chunked", 0},
      {"CHUNKED", 0},
      {"", 400},
      {"xchunked", 400},
      {"chunkedx", 400},
      {"chunked,", 400},
      {",chunked", 400},
      {"chunked;q=1", 400},
      {"gzip", 400},
      {"identity", 400},
      {"gzip, chunked", 501},
      {"identity, chunked", 501},
      {"chunked, chunked", 400},
      {"chunked, gzip", 400},
      {"\vchunked", 400},
      {"chunked ", 400},
      {"\"chunked\"", 400},
      {"chunke", 400},
      {"gzip;q=1 ,\tx-own ; a=b, Chunked", 501},
      {"gzip, chunked;q=1", 400},
      {"gzip,, chunked", 400},
      {"gzip, chunked,", 400},
      {"gz ip, chunked", 400},
      {"gzip, chunked, chunked", 400},
      {"chunked, gzip, chunked", 400},
      {";q=1, chunked", 400},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].value);
    uint8_t *copy = exact_copy(rows[i].value, n);
    int status = wh_transfer_encoding_status(copy, n);
    free(copy);
    check_row(status == rows[i].status, i, rows[i].value);
  }
}

static void takes_100_continue_alone(void **state) {
  (void)state;
  static const struct {
    const char *value;
    int is_continue;
  } rows[] = {
      {"100-continue", 1},
      {"100-Continue", 1},
      {"100-CONTINUE", 1},
      {"", 0},
      {"100", 0},
      {"100-continue,", 0},
      {"foo", 0},
      {"100-continue, foo", 0},
      {"100-continue;a=b", 0},
      {"100\rcontinue", 0},
      {"\x11"
       "00-continue",
       0},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].value);
    uint8_t *copy = exact_copy(rows[i].value, n);
    int is_continue = wh_expect_is_continue(copy, n);
    free(copy);
    check_row(is_continue == rows[i].is_continue, i, rows[i].value);
  }
}

static void finds_a_member_of_a_list(void **state) {
  (void)state;
  static const struct {
    const char *value;
    int has_trailers;
  } rows[] = {
      {"trailers", 1}, {"gzip, Trailers", 1}, {"trailers,", 1},    {" , trailers ,x", 1},
      {"", 0},         {"trailer", 0},        {"trailers;q=1", 0}, {"trailersx, xtrailers", 0},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    size_t n = strlen(rows[i].value);
    uint8_t *copy = exact_copy(rows[i].value, n);
    int found = wh_list_has_member(copy, n, "trailers", 8);
    free(copy);
    check_row(found == rows[i].has_trailers, i, rows[i].value);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_connection_options),
      cmocka_unit_test(takes_chunked_alone),
      cmocka_unit_test(takes_100_continue_alone),
      cmocka_unit_test(finds_a_member_of_a_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
