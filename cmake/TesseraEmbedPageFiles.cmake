# Run by tessera_embed_page at build time: writes FILES below ROOT as a table of assets into OUTPUT.
set(kind_html "text/html; charset=utf-8")
set(kind_js "text/javascript; charset=utf-8")
set(kind_css "text/css; charset=utf-8")
set(kind_svg "image/svg+xml")
set(kind_txt "text/plain; charset=utf-8")
set(arrays "")
set(table "")
set(number 0)
set(gzipped false)
if(GZIP AND NOT GZIP MATCHES "NOTFOUND")
  set(gzipped true)
endif()
foreach(file IN LISTS FILES)
  set(path ${ROOT}/${file})
  if(gzipped)
    execute_process(COMMAND ${GZIP} -9nc ${path} OUTPUT_FILE ${OUTPUT}.gz RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "[embed] gzip could not compress ${path}")
    endif()
    set(path ${OUTPUT}.gz)
  endif()
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  string(REGEX REPLACE "\\.([a-z]+)$" ";\\1" parts ${file})
  list(GET parts 1 ending)
  string(REGEX REPLACE "^studio/" "/studio/" address ${file})
  if(file STREQUAL "studio/index.html")
    set(address "/")
  endif()
  string(APPEND arrays "constexpr char file_${number}[] = \"${bytes}\";\n")
  string(APPEND table "    Asset{\"${address}\", \"${kind_${ending}}\", std::string_view(file_${number}, sizeof file_${number} - 1), ${gzipped}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(REMOVE ${OUTPUT}.gz)
file(WRITE ${OUTPUT} "// Made by the build (cmake/TesseraEmbedPage.cmake).
#include \"serve/assets.h\"

namespace tessera::serve {

namespace {
${arrays}
constexpr Asset assets[] = {
${table}};
}  // namespace

std::span<const Asset> page_assets() { return assets; }

}  // namespace tessera::serve
")
