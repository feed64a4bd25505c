#pragma once
// The system's SQLite, looked up when it is first needed: nothing here is linked, and no header of its own is needed to
// build. Its binary interface has been stable under the name libsqlite3.so.0 since 2004.

#include <stdint.h>

typedef struct sluice_sqlite_connection sluice_sqlite_connection;
typedef struct sluice_sqlite_statement sluice_sqlite_statement;

/// The functions that the session store needs, under SQLite's names without `sqlite3_`.
typedef struct sluice_sqlite {
  int (*open_v2)(const char *path, sluice_sqlite_connection **connection, int flags, const char *vfs);
  int (*close_v2)(sluice_sqlite_connection *connection);
  int (*busy_timeout)(sluice_sqlite_connection *connection, int milliseconds);
  int (*exec)(sluice_sqlite_connection *connection, const char *statements, void *callback, void *context, char **error);
  const char *(*errmsg)(sluice_sqlite_connection *connection);
  int (*changes)(sluice_sqlite_connection *connection);
  int (*prepare_v2)(sluice_sqlite_connection *connection, const char *text, int bytes,
                    sluice_sqlite_statement **statement, const char **tail);
  int (*step)(sluice_sqlite_statement *statement);
  int (*reset)(sluice_sqlite_statement *statement);
  int (*finalize)(sluice_sqlite_statement *statement);
  int (*bind_int64)(sluice_sqlite_statement *statement, int place, int64_t value);
  /// `release` is NULL for bytes that stay as they are until the statement is reset or bound anew.
  int (*bind_text)(sluice_sqlite_statement *statement, int place, const char *text, int bytes, void (*release)(void *));
  int (*bind_blob)(sluice_sqlite_statement *statement, int place, const void *blob, int bytes, void (*release)(void *));
  int64_t (*column_int64)(sluice_sqlite_statement *statement, int column);
  const void *(*column_blob)(sluice_sqlite_statement *statement, int column);
  const unsigned char *(*column_text)(sluice_sqlite_statement *statement, int column);
  int (*column_bytes)(sluice_sqlite_statement *statement, int column);
} sluice_sqlite;

/// SQLite's codes that the session store tells apart.
enum {
  SLUICE_SQLITE_OK = 0,
  SLUICE_SQLITE_BUSY = 5,
  SLUICE_SQLITE_CORRUPT = 11,
  SLUICE_SQLITE_FULL = 13,
  SLUICE_SQLITE_NOT_A_DATABASE = 26,
  SLUICE_SQLITE_ROW = 100,
  SLUICE_SQLITE_DONE = 101,
};

/// Flags of `open_v2`.
enum {
  SLUICE_SQLITE_OPEN_READ_WRITE = 0x00000002,
  SLUICE_SQLITE_OPEN_CREATE = 0x00000004,
  SLUICE_SQLITE_OPEN_FULL_MUTEX = 0x00010000,
};

/// NULL where this machine has no SQLite.
const sluice_sqlite *sluice_sqlite_library(void);
