#include "lanes_scalar.h"
#include "tables.h"

#define SLUICE_TABLE sluice_kernels_scalar
#define SLUICE_NAME "scalar"
#include "table.inc.h"
