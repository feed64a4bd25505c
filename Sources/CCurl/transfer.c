// libcurl's easy interface, whose binary interface has been stable under the name libcurl.so.4 since 2006. The numbers
// of options and codes are part of it (curl.se/libcurl/c/symbols-in-versions.html).

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "CCurl.h"

typedef void CURL;
struct curl_slist;

enum {
  OPTION_LOW_SPEED_LIMIT = 19,
  OPTION_LOW_SPEED_TIME = 20,
  OPTION_NOPROGRESS = 43,
  OPTION_FOLLOWLOCATION = 52,
  OPTION_NOSIGNAL = 99,
  OPTION_CONNECTTIMEOUT = 78,
  OPTION_BUFFERSIZE = 98,
  OPTION_PROTOCOLS = 181,
  OPTION_TCP_KEEPALIVE = 213,
  OPTION_SUPPRESS_CONNECT_HEADERS = 265,
  OPTION_WRITEDATA = 10001,
  OPTION_URL = 10002,
  OPTION_ERRORBUFFER = 10010,
  OPTION_USERAGENT = 10018,
  OPTION_HTTPHEADER = 10023,
  OPTION_HEADERDATA = 10029,
  OPTION_XFERINFODATA = 10057,
  OPTION_CAINFO = 10065,
  OPTION_NOPROXY = 10177,
  OPTION_WRITEFUNCTION = 20011,
  OPTION_HEADERFUNCTION = 20079,
  OPTION_XFERINFOFUNCTION = 20219,
};

enum { PROTOCOL_HTTP = 1, PROTOCOL_HTTPS = 2, GLOBAL_DEFAULT = 3 };

static struct {
  CURL *(*create)(void);
  int (*set)(CURL *, int, ...);
  int (*perform)(CURL *);
  void (*destroy)(CURL *);
  const char *(*describe)(int);
  struct curl_slist *(*append)(struct curl_slist *, const char *);
  void (*free_list)(struct curl_slist *);
  int loaded;
} library;

static void load(void) {
  static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib",
                                      "/usr/lib/libcurl.4.dylib"};
  void *handle = NULL;
  for (size_t i = 0; !handle && i < sizeof names / sizeof *names; i++)
    handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
  int (*initialise)(long) = (int (*)(long))dlsym(handle, "curl_global_init");
  library.create = (CURL * (*)(void)) dlsym(handle, "curl_easy_init");
  library.set = (int (*)(CURL *, int, ...))dlsym(handle, "curl_easy_setopt");
  library.perform = (int (*)(CURL *))dlsym(handle, "curl_easy_perform");
  library.destroy = (void (*)(CURL *))dlsym(handle, "curl_easy_cleanup");
  library.describe = (const char *(*)(int))dlsym(handle, "curl_easy_strerror");
  library.append = (struct curl_slist * (*)(struct curl_slist *, const char *)) dlsym(handle, "curl_slist_append");
  library.free_list = (void (*)(struct curl_slist *))dlsym(handle, "curl_slist_free_all");
  library.loaded = initialise && library.create && library.set && library.perform && library.destroy &&
                   library.describe && library.append && library.free_list && initialise(GLOBAL_DEFAULT) == 0;
}

static size_t take_head(char *line, size_t size, size_t count, void *context) {
  const sluice_transfer *transfer = context;
  return transfer->head(transfer->context, line, size * count) == 0 ? size * count : 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
  const sluice_transfer *transfer = context;
  // A count that differs ends the transfer; that of nothing at all cannot.
  if (size * count == 0) return 0;
  return transfer->body(transfer->context, bytes, size * count) == 0 ? size * count : 0;
}

static int take_progress(void *context, long long total, long long now, long long up_total, long long up_now) {
  (void)total, (void)now, (void)up_total, (void)up_now;
  const sluice_transfer *transfer = context;
  return transfer->tick(transfer->context);
}

static sluice_transfer_result result(int code) {
  switch (code) {
  case 0: return SLUICE_TRANSFER_DONE;
  case 23: case 42: return SLUICE_TRANSFER_STOPPED;  // a write or progress callback said so
  case 5: case 6: case 7: return SLUICE_TRANSFER_UNREACHABLE;  // no proxy, no host, no connection
  case 18: case 28: case 52: case 55: case 56:  // cut, stalled, empty, not sent, not received
  case 16: case 92: case 95: return SLUICE_TRANSFER_BROKEN;  // framing and streams of HTTP/2 and HTTP/3
  default: return SLUICE_TRANSFER_FAILED;
  }
}

sluice_transfer_result sluice_transfer_perform(const sluice_transfer *transfer,
                                               char error[SLUICE_TRANSFER_ERROR_SIZE]) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  error[0] = 0;
  if (!library.loaded) return SLUICE_TRANSFER_NO_LIBRARY;
  CURL *handle = library.create();
  if (!handle) return SLUICE_TRANSFER_FAILED;
  struct curl_slist *headers = NULL;
  for (size_t i = 0; i < transfer->header_count; i++) {
    struct curl_slist *longer = library.append(headers, transfer->headers[i]);
    if (longer) headers = longer;
  }
  library.set(handle, OPTION_URL, transfer->url);
  library.set(handle, OPTION_HTTPHEADER, headers);
  library.set(handle, OPTION_USERAGENT, transfer->user_agent);
  if (transfer->certificates) library.set(handle, OPTION_CAINFO, transfer->certificates);
  if (transfer->direct) library.set(handle, OPTION_NOPROXY, "*");
  library.set(handle, OPTION_PROTOCOLS, (long)(PROTOCOL_HTTP | PROTOCOL_HTTPS));
  library.set(handle, OPTION_FOLLOWLOCATION, 0L);
  library.set(handle, OPTION_NOSIGNAL, 1L);
  // What a proxy says of its tunnel is not the answer.
  library.set(handle, OPTION_SUPPRESS_CONNECT_HEADERS, 1L);
  library.set(handle, OPTION_TCP_KEEPALIVE, 1L);
  library.set(handle, OPTION_BUFFERSIZE, 256L << 10);
  library.set(handle, OPTION_CONNECTTIMEOUT, transfer->connect_seconds);
  library.set(handle, OPTION_LOW_SPEED_LIMIT, 1L);
  library.set(handle, OPTION_LOW_SPEED_TIME, transfer->stall_seconds);
  library.set(handle, OPTION_ERRORBUFFER, error);
  library.set(handle, OPTION_HEADERFUNCTION, take_head);
  library.set(handle, OPTION_HEADERDATA, transfer);
  library.set(handle, OPTION_WRITEFUNCTION, take_body);
  library.set(handle, OPTION_WRITEDATA, transfer);
  library.set(handle, OPTION_XFERINFOFUNCTION, take_progress);
  library.set(handle, OPTION_XFERINFODATA, transfer);
  library.set(handle, OPTION_NOPROGRESS, 0L);
  int code = library.perform(handle);
  if (code != 0 && error[0] == 0) snprintf(error, SLUICE_TRANSFER_ERROR_SIZE, "%s", library.describe(code));
  library.destroy(handle);
  library.free_list(headers);
  return result(code);
}
