// Which files the libraries' functions come from: Node exports functions of the same names.
#ifndef WH_BINDING_ORIGINS_H
#define WH_BINDING_ORIGINS_H

#include <node_api.h>

// symbolOrigins(): { llhttp_init, nghttp2_session_server_new, SSL_CTX_new }, each the path of the file
// that the addon's calls go to, or null where there is none. For the test suite.
napi_value SymbolOrigins(napi_env env, napi_callback_info info);

#endif
