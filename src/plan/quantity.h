// Numbers as people write and read them, and work on threads.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace tessera::plan {

/// A number above 0 with an optional k, M, B (or G), T. Throws UserError that names `what`.
double parse_quantity(const std::string& text, const std::string& what);

/// A number as figures and tables write it: "0.25", "190M", "1.3T", "6.1e21". Four significant digits.
std::string short_number(double value);

/// Calls `work(0) ... work(count - 1)`, each once, on so many threads (0: one per core). An exception is thrown again here.
void for_each_on_threads(size_t count, int threads, const std::function<void(size_t)>& work);

}  // namespace tessera::plan
