#pragma once
// One HTTP request by the system's libcurl, which is looked up when it is first needed: nothing here is linked, so
// programs that fetch nothing neither load it nor need it.

#include <stddef.h>

/// A GET request. Redirects are not followed; a body of any length goes through `body` as it comes.
typedef struct sluice_transfer {
  const char *url;
  /// Lines of the form `Name: value`.
  const char *const *headers;
  size_t header_count;
  const char *user_agent;
  /// A file of certificates to trust instead of the system's; NULL for those.
  const char *certificates;
  /// Whether proxies that the environment names are passed by.
  int direct;
  /// Seconds until a connection must stand.
  long connect_seconds;
  /// Seconds without a byte after which the transfer ends.
  long stall_seconds;
  void *context;
  /// A line of the response's head, with its line end, from the status line to the empty line. Not 0 ends the transfer.
  int (*head)(void *context, const char *line, size_t count);
  /// Bytes of the body. Not 0 ends the transfer.
  int (*body)(void *context, const void *bytes, size_t count);
  /// Called now and then, at least once a second. Not 0 ends the transfer.
  int (*tick)(void *context);
} sluice_transfer;

enum { SLUICE_TRANSFER_ERROR_SIZE = 256 };

typedef enum sluice_transfer_result {
  SLUICE_TRANSFER_DONE,
  /// There is no libcurl on this machine.
  SLUICE_TRANSFER_NO_LIBRARY,
  /// A callback ended the transfer.
  SLUICE_TRANSFER_STOPPED,
  /// The host has no address, refuses connections or does not answer them.
  SLUICE_TRANSFER_UNREACHABLE,
  /// The connection ended or stood still before the response was whole; trying again may help.
  SLUICE_TRANSFER_BROKEN,
  /// Anything else, such as a certificate that is not trusted.
  SLUICE_TRANSFER_FAILED,
} sluice_transfer_result;

/// Sends the request and waits for its end; `error` takes the reason of a failure in libcurl's words.
sluice_transfer_result sluice_transfer_perform(const sluice_transfer *transfer,
                                               char error[SLUICE_TRANSFER_ERROR_SIZE]);
