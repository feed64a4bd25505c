#pragma once

#include <stddef.h>

char *getenv(const char *name);
