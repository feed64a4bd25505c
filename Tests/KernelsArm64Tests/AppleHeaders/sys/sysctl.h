#pragma once

#include <stddef.h>

int sysctlbyname(const char *name, void *value, size_t *bytes, void *new_value, size_t new_bytes);
