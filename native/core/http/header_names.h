/*
 * The header field names that the server knows, as small integers: one table
 * (native/tables/header-names.txt) for both sides of the border to JavaScript. Ids start at 1 and
 * are stable; 0 means unknown.
 */
#ifndef WH_HTTP_HEADER_NAMES_H
#define WH_HTTP_HEADER_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "generated/header_names.h"

/*
 * The id of a field name (WH_HEADER_...), compared without case; 0 where it is not in the table.
 * The bytes need not be a valid token. Any thread.
 */
uint16_t wh_header_id(const uint8_t *name, size_t length);

/*
 * The canonical spelling ("Content-Length"), NUL-terminated; NULL (and length 0) for an id that is
 * not in use.
 */
const char *wh_header_name(uint16_t id, size_t *length);

#endif
