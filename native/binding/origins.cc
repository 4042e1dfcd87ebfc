#include "binding/origins.h"

#include <dlfcn.h>
#include <llhttp.h>
#include <nghttp2/nghttp2.h>

namespace {

bool Add(napi_env env, napi_value object, const char *name, const void *function) {
  Dl_info where;
  napi_value value;
  if (function != nullptr && dladdr(function, &where) != 0) {
    if (napi_create_string_utf8(env, where.dli_fname, NAPI_AUTO_LENGTH, &value) != napi_ok)
      return false;
  } else if (napi_get_null(env, &value) != napi_ok) {
    return false;
  }
  return napi_set_named_property(env, object, name, value) == napi_ok;
}

} // namespace

napi_value SymbolOrigins(napi_env env, napi_callback_info) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok ||
      !Add(env, object, "llhttp_init", reinterpret_cast<const void *>(&llhttp_init)) ||
      !Add(env, object, "nghttp2_hd_deflate_new2",
           reinterpret_cast<const void *>(&nghttp2_hd_deflate_new2)) ||
      !Add(env, object, "SSL_CTX_new", dlsym(RTLD_DEFAULT, "SSL_CTX_new"))) {
    return nullptr;
  }
  return object;
}
