// Memory of mapped files that was read and is not needed again. Bytes stay readable.
#pragma once

#include <string_view>

namespace tessera {

/// Says that these bytes of a MappedFile were read for the last time, as far as is known: the pages that lie whole among them
/// no longer count as this process's memory, and come from the file again when they are read after all. Does nothing for
/// bytes of which no MappedFile is alive.
void release_pages(std::string_view bytes);

}  // namespace tessera
