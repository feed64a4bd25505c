#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#include "CSQLite.h"

static sluice_sqlite library;
static int is_loaded;

static void load(void) {
  static const char *const files[] = {"libsqlite3.so.0", "libsqlite3.dylib", "/usr/lib/libsqlite3.dylib"};
  void *handle = NULL;
  for (size_t i = 0; !handle && i < sizeof files / sizeof *files; i++) handle = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
  const struct {
    const char *name;
    void **place;
  } functions[] = {
      {"sqlite3_open_v2", (void **)&library.open_v2},
      {"sqlite3_close_v2", (void **)&library.close_v2},
      {"sqlite3_busy_timeout", (void **)&library.busy_timeout},
      {"sqlite3_exec", (void **)&library.exec},
      {"sqlite3_errmsg", (void **)&library.errmsg},
      {"sqlite3_changes", (void **)&library.changes},
      {"sqlite3_prepare_v2", (void **)&library.prepare_v2},
      {"sqlite3_step", (void **)&library.step},
      {"sqlite3_reset", (void **)&library.reset},
      {"sqlite3_finalize", (void **)&library.finalize},
      {"sqlite3_bind_int64", (void **)&library.bind_int64},
      {"sqlite3_bind_text", (void **)&library.bind_text},
      {"sqlite3_bind_blob", (void **)&library.bind_blob},
      {"sqlite3_column_int64", (void **)&library.column_int64},
      {"sqlite3_column_blob", (void **)&library.column_blob},
      {"sqlite3_column_text", (void **)&library.column_text},
      {"sqlite3_column_bytes", (void **)&library.column_bytes},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    *functions[i].place = dlsym(handle, functions[i].name);
    if (!*functions[i].place) return;
  }
  is_loaded = 1;
}

const sluice_sqlite *sluice_sqlite_library(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return is_loaded ? &library : NULL;
}
