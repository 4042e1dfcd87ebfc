#include "base/error.h"

#include <errno.h>

const char *wh_error_name(int error) {
  switch (error) {
  case WH_OK: return "WH_OK";
  case WH_ERR_NO_MEMORY: return "WH_ERR_NO_MEMORY";
  case WH_ERR_INVALID_ARGUMENT: return "WH_ERR_INVALID_ARGUMENT";
  case WH_ERR_ADDRESS_IN_USE: return "WH_ERR_ADDRESS_IN_USE";
  case WH_ERR_ADDRESS_NOT_AVAILABLE: return "WH_ERR_ADDRESS_NOT_AVAILABLE";
  case WH_ERR_ACCESS_DENIED: return "WH_ERR_ACCESS_DENIED";
  case WH_ERR_ADDRESS_INVALID: return "WH_ERR_ADDRESS_INVALID";
  case WH_ERR_CLOSED: return "WH_ERR_CLOSED";
  case WH_ERR_STATE: return "WH_ERR_STATE";
  case WH_ERR_OVERFLOW: return "WH_ERR_OVERFLOW";
  case WH_ERR_FILE_TRUNCATED: return "WH_ERR_FILE_TRUNCATED";
  case WH_ERR_FILE_UNREADABLE: return "WH_ERR_FILE_UNREADABLE";
  case WH_ERR_NOT_SUPPORTED: return "WH_ERR_NOT_SUPPORTED";
  default: return "WH_ERR_SYSTEM";
  }
}

int wh_error_from_errno(int system_error) {
  switch (system_error) {
  case 0: return WH_OK;
  case ENOMEM:
  case ENOBUFS: return WH_ERR_NO_MEMORY;
  case EADDRINUSE: return WH_ERR_ADDRESS_IN_USE;
  case EADDRNOTAVAIL:
  case EAFNOSUPPORT: return WH_ERR_ADDRESS_NOT_AVAILABLE;
  case EACCES:
  case EPERM: return WH_ERR_ACCESS_DENIED;
  default: return WH_ERR_SYSTEM;
  }
}
