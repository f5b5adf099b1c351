# Finds what Tessera stands on. LibTorch: -DCMAKE_PREFIX_PATH, else the torch wheel in .venv (./dev puts it there).
include_guard()

if(TESSERA_DEPS_DIR)
  list(PREPEND CMAKE_PREFIX_PATH ${TESSERA_DEPS_DIR})
  include_directories(SYSTEM ${TESSERA_DEPS_DIR}/include)
endif()

file(GLOB venv_torch ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
if(venv_torch)
  list(APPEND CMAKE_PREFIX_PATH ${venv_torch})
endif()

find_package(Torch QUIET)
if(NOT Torch_FOUND)
  message(FATAL_ERROR "LibTorch not found. Run ./dev build, which installs it into .venv, "
                      "or pass -DCMAKE_PREFIX_PATH=/path/to/libtorch")
endif()

find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(PNG REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
if(TESSERA_MEDIA)
  find_package(JPEG REQUIRED)
  pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp)
endif()
if(TESSERA_FONT)
  pkg_check_modules(font REQUIRED IMPORTED_TARGET harfbuzz)
  find_package(pugixml REQUIRED)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
find_program(MOLD mold)

# GCC 12 sees overlapping copies in every assignment of a string_view to a string; -Wno-restrict is about those.
add_library(tessera_flags INTERFACE)
target_compile_options(tessera_flags INTERFACE -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow>)
if(MOLD)
  target_link_options(tessera_flags INTERFACE -fuse-ld=mold)
endif()
if(TESSERA_SANITIZE)
  # The vptr check wants type information that LibTorch does not export.
  set(sanitizers -fsanitize=address,undefined -fno-sanitize=vptr -fno-omit-frame-pointer)
  target_compile_options(tessera_flags INTERFACE ${sanitizers} -O1)
  target_link_options(tessera_flags INTERFACE ${sanitizers})
endif()
target_link_options(tessera_flags INTERFACE $<$<NOT:$<BOOL:${TESSERA_SANITIZE}>>:-Wl,--no-undefined>)
