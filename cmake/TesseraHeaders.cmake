# Part of `cmake --install`: the headers that a program may include, all below tessera/, where no other library's core/error.h is meant.
# Inside the repository a header includes "core/error.h", installed it includes "tessera/core/error.h". `TESSERA_SOURCES`: the folder src.
file(GLOB_RECURSE headers RELATIVE ${TESSERA_SOURCES} ${TESSERA_SOURCES}/*.h)
list(FILTER headers EXCLUDE REGEX "^(apps|hub|serve)/|(^|/)testing[^/]*$|/precompiled\\.h$")
foreach(header IN LISTS headers)
  file(READ ${TESSERA_SOURCES}/${header} text)
  string(REGEX REPLACE "(#include \")([a-z_]+/)" "\\1tessera/\\2" text "${text}")
  file(WRITE "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/include/tessera/${header}" "${text}")
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${CMAKE_INSTALL_PREFIX}/include/tessera/${header}")
endforeach()
