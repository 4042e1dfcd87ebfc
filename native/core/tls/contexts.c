/* The life of a wh_tls. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tls/tls_internal.h"

static void destroy(wh_tls *tls) {
  for (size_t i = 0; i < tls->site_count; i++) tls_site_free(&tls->sites[i]);
  wh_free(tls->sites);
  wh_openssl.BIO_meth_free(tls->wire);
  tls_tickets_free(tls);
  tls_direct_release(tls);
  wh_free(tls);
}

static int make_sites(wh_tls *tls, const wh_tls_settings *settings, char *message, size_t size) {
  tls->sites = wh_zalloc(settings->host_count * sizeof *tls->sites);
  if (tls->sites == NULL) return WH_ERR_NO_MEMORY;
  for (size_t i = 0; i < settings->host_count; i++) {
    const wh_tls_host *host = &settings->hosts[i];
    char why[256] = "";
    tls->site_count = i + 1;
    int result = tls_site_make(tls, settings, host, &tls->sites[i], why, sizeof why);
    if (result == WH_OK) continue;
    snprintf(message, size, "host %s: %s", host->name,
             result == WH_ERR_NO_MEMORY ? "out of memory" : why);
    return result;
  }
  int result = tls_sites_sort(tls->sites, tls->site_count, message, size);
  if (result == WH_OK) tls->first = &tls->sites[0]; /* "" sorts first */
  return result;
}

int wh_tls_create(const wh_tls_settings *settings, wh_tls **out, char *message, size_t size) {
  *out = NULL;
  message[0] = '\0';
  int result = wh_openssl_load(message, size);
  if (result != WH_OK) return result;
  if (settings->host_count == 0) {
    snprintf(message, size, "there is no host with a certificate");
    return WH_ERR_INVALID_ARGUMENT;
  }
  wh_tls *tls = wh_zalloc(sizeof *tls);
  if (tls != NULL) {
    tls->references = 1;
    tls->tickets = settings->tickets != 0;
    tls->wire = tls_wire_method();
    result = tls->wire == NULL ? WH_ERR_NO_MEMORY : tls_tickets_init(tls, settings);
    if (result == WH_OK) result = tls_direct_init(tls);
    if (result == WH_OK) result = make_sites(tls, settings, message, size);
    if (result != WH_OK) destroy(tls);
  } else {
    result = WH_ERR_NO_MEMORY;
  }
  wh_openssl.ERR_clear_error();
  if (result == WH_OK)
    *out = tls;
  else if (message[0] == '\0')
    snprintf(message, size, "%s", wh_error_name(result));
  return result;
}

void wh_tls_retain(wh_tls *tls) { tls->references++; }

void wh_tls_release(wh_tls *tls) {
  if (tls != NULL && --tls->references == 0) destroy(tls);
}
