# tessera_embed(TARGET SOURCE FUNCTION FILE...): a C++ source in the build tree, made when a FILE changes, that defines
# `std::string_view tessera::plan::FUNCTION()` as the files' text, one after another.
include_guard()

set(embed_script ${CMAKE_CURRENT_LIST_DIR}/TesseraEmbedFiles.cmake)

function(tessera_embed target source function)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${source})
  set(files "")
  foreach(file IN LISTS ARGN)
    get_filename_component(path ${file} ABSOLUTE)
    list(APPEND files ${path})
  endforeach()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DFUNCTION=${function} "-DFILES=${files}" -P ${embed_script}
    DEPENDS ${files} ${embed_script} COMMENT "Embedding ${source}" VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
