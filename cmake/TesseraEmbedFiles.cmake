# Run by tessera_embed at build time: writes FILES as one raw string into OUTPUT.
set(delimiter page_text)
set(text "")
foreach(file IN LISTS FILES)
  file(READ ${file} part)
  string(APPEND text "${part}\n")
endforeach()
string(FIND "${text}" ")${delimiter}\"" end)
if(NOT end EQUAL -1)
  message(FATAL_ERROR "[embed] what goes into ${OUTPUT} holds )${delimiter}\", the end of its own raw string")
endif()
file(WRITE ${OUTPUT} "// Made by the build (cmake/TesseraEmbed.cmake).
#include \"plan/report/assets.h\"

namespace tessera::plan {
std::string_view ${FUNCTION}() {
  static constexpr char text[] = R\"${delimiter}(${text})${delimiter}\";
  return {text, sizeof text - 1};
}
}  // namespace tessera::plan
")
