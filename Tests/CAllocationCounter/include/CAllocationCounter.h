#pragma once

/// Allocations that the calling thread has made so far, or -1 where they cannot be counted (all but glibc).
///
/// Linking this target replaces the process's allocation functions by ones that count and pass on to glibc's. For tests.
long allocation_count(void);
