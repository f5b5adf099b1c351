# tessera_embed_page(TARGET SOURCE FILE...): a C++ source in the build tree, made when a FILE changes, that defines tessera::serve::page_assets()
# (src/serve/assets.h): index.html as "/", every other FILE as "/studio/FILE", compressed by gzip where the machine has it.
include_guard()

set(embed_page_script ${CMAKE_CURRENT_LIST_DIR}/TesseraEmbedPageFiles.cmake)
find_program(TESSERA_GZIP gzip)

function(tessera_embed_page target source)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${source})
  set(files "")
  foreach(file IN LISTS ARGN)
    list(APPEND files ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DROOT=${CMAKE_CURRENT_SOURCE_DIR} -DGZIP=${TESSERA_GZIP} "-DFILES=${ARGN}" -P ${embed_page_script}
    DEPENDS ${files} ${embed_page_script} COMMENT "Embedding ${source}" VERBATIM)
  # the target may be of another folder, which does not see this folder's commands
  add_custom_target(${target}_page DEPENDS ${output})
  add_dependencies(${target} ${target}_page)
  target_sources(${target} PRIVATE ${output})
  set_source_files_properties(${output} TARGET_DIRECTORY ${target} PROPERTIES GENERATED ON SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON)
endfunction()
