#include "tls/openssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

wh_openssl_table wh_openssl;

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static int loaded;

static void *find(const char *name) {
  void *found = dlsym(RTLD_DEFAULT, name);
#ifdef WH_TEST
  /* The C tests have no node around them. The libraries stay open for the life of the process. */
  if (found == NULL) {
    static void *libraries[2];
    if (libraries[0] == NULL) libraries[0] = dlopen("libssl.so.3", RTLD_NOW | RTLD_GLOBAL);
    if (libraries[1] == NULL) libraries[1] = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_GLOBAL);
    for (int i = 0; i < 2 && found == NULL; i++) {
      if (libraries[i] != NULL) found = dlsym(libraries[i], name);
    }
  }
#endif
  return found;
}

int wh_openssl_fill(wh_openssl_table *table, wh_openssl_lookup lookup, char *message, size_t size) {
  static const struct {
    const char *name;
    size_t offset;
  } functions[] = {
#define WH_OPENSSL_ENTRY(name) {#name, offsetof(wh_openssl_table, name)},
      WH_OPENSSL_FUNCTIONS(WH_OPENSSL_ENTRY)
#undef WH_OPENSSL_ENTRY
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *found = lookup(functions[i].name);
    if (found == NULL) {
      snprintf(message, size,
               "https endpoints need OpenSSL 3 exported by the runtime (%s is missing): serve "
               "cleartext here, or run under Node.js",
               functions[i].name);
      return WH_ERR_NOT_SUPPORTED;
    }
    memcpy((char *)table + functions[i].offset, &found, sizeof found);
  }
  return WH_OK;
}

int wh_openssl_load(char *message, size_t size) {
  pthread_mutex_lock(&loading);
  int result = WH_OK;
  if (!loaded) {
    /* Other threads read the table without a lock: they do so with a wh_tls, made after this. */
    result = wh_openssl_fill(&wh_openssl, find, message, size);
    loaded = result == WH_OK;
  }
  pthread_mutex_unlock(&loading);
  return result;
}
