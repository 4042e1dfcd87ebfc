/*
 * The errors of the core. Every function that can fail returns 0 (or a count) or one of these.
 * Each has a stable name, WH_ERR_..., which is also the `code` of the JavaScript error.
 */
#ifndef WH_BASE_ERROR_H
#define WH_BASE_ERROR_H

typedef enum wh_error {
  WH_OK = 0,
  WH_ERR_NO_MEMORY = -1,        /* an allocation failed */
  WH_ERR_INVALID_ARGUMENT = -2, /* the caller's fault: a value out of its range */
  WH_ERR_ADDRESS_IN_USE = -3,   /* somebody listens there */
  WH_ERR_ADDRESS_NOT_AVAILABLE = -4,
  WH_ERR_ACCESS_DENIED = -5,
  WH_ERR_ADDRESS_INVALID = -6, /* the text is no address */
  WH_ERR_SYSTEM = -7,          /* another system error; errno says which */
  WH_ERR_CLOSED = -8,          /* the connection is gone */
  WH_ERR_STATE = -9,           /* the call does not fit the object's state */
  WH_ERR_OVERFLOW = -10,       /* a limit of the caller's is reached */
  WH_ERR_FILE_TRUNCATED = -20, /* a file ended before its time */
  WH_ERR_FILE_UNREADABLE = -21,
  WH_ERR_NOT_SUPPORTED = -22 /* the system cannot do that here */
} wh_error;

/* The stable name of an error, such as "WH_ERR_NO_MEMORY". Never NULL. Any thread. */
const char *wh_error_name(int error);

/* The wh_error that says best what an errno value means. Any thread. */
int wh_error_from_errno(int system_error);

#endif
