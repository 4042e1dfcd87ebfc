/*
 * Request methods as small integers (native/tables/methods.txt). 0 is any method outside the table:
 * allowed, and then known by its bytes only.
 */
#ifndef WH_HTTP_METHOD_H
#define WH_HTTP_METHOD_H

#include <stddef.h>
#include <stdint.h>

#include "generated/methods.h"

/*
 * The method (WH_METHOD_...) of these bytes, case-sensitive (RFC 9110 section 9.1); 0 where
 * unknown. Any thread.
 */
uint8_t wh_method_find(const uint8_t *p, size_t n);

/*
 * The method's name, NUL-terminated; NULL (and length 0) for 0 and for a number out of the table.
 */
const char *wh_method_name(uint8_t method, size_t *length);

/*
 * Whether the registry calls the method safe (GET, HEAD, OPTIONS, TRACE, QUERY, ...); unknown ones
 * are not.
 */
int wh_method_is_safe(uint8_t method);

/* Whether the registry calls the method idempotent; every safe method is. */
int wh_method_is_idempotent(uint8_t method);

#endif
