// What the machine can do at most: the two numbers that shares in bench/lm are shares of.
#pragma once

#include <cstdint>

namespace tessera::bench {

/// Bytes a second that `threads` threads together read from memory, each its own part of an array far larger than the
/// caches, front to back; the best of `repeats`.
double read_bandwidth(int threads, int64_t bytes = int64_t{1} << 30, int repeats = 5);

/// fp32 operations a second (a multiply-add is two) of `threads` threads that do nothing but multiply-adds in
/// registers, with the widest instructions that the processor has; the best of `repeats`.
double multiply_add_peak(int threads, int repeats = 5);

}  // namespace tessera::bench
