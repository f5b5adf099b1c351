# A room is one folder of src/. It adds its sources to one of three libraries and its tests to one of three binaries:
#   tessera_core  stands on no LibTorch; `tessera --help` and `inspect` load nothing else
#   tessera_plan  fits and forecasts, on tessera_core alone
#   tessera       everything else, loaded when a verb needs it
include_guard()

function(tessera_sources library)
  if(NOT TARGET ${library})
    return()  # built without the engine
  endif()
  set_target_properties(${library} PROPERTIES UNITY_BUILD_MODE GROUP)
  list(LENGTH ARGN count)
  foreach(file IN LISTS ARGN)
    target_sources(${library} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    tessera_unity_group(${file} ${count} group)
    set_source_files_properties(${file} TARGET_DIRECTORY ${library} PROPERTIES UNITY_GROUP ${group})
  endforeach()
endfunction()

# Which of a room's sources are compiled as one: about eight, chosen by their names, so that a further file changes one unit alone
# and not all that come after it.
function(tessera_unity_group file count result)
  file(RELATIVE_PATH room ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR})
  string(MAKE_C_IDENTIFIER "${room}" room)
  string(MD5 hash ${file})
  string(SUBSTRING ${hash} 0 4 hash)
  math(EXPR bucket "0x${hash} % ((${count} + 7) / 8)")
  set(${result} ${room}_${bucket} PARENT_SCOPE)
endfunction()

# tessera_tests(light|engine|slow file_test.cc ...): slow ones are run apart (ctest -L slow).
function(tessera_tests kind)
  foreach(file IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY TESSERA_TESTS_${kind} ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    list(LENGTH ARGN count)
    tessera_unity_group(${file} ${count} group)
    set_property(GLOBAL PROPERTY TESSERA_GROUP_${CMAKE_CURRENT_SOURCE_DIR}/${file} ${group})
  endforeach()
endfunction()

function(tessera_test_binary kind library)
  get_property(files GLOBAL PROPERTY TESSERA_TESTS_${kind})
  if(NOT files)
    return()
  endif()
  add_executable(tessera_${kind}_tests ${files})
  set_target_properties(tessera_${kind}_tests PROPERTIES UNITY_BUILD_MODE GROUP)
  foreach(file IN LISTS files)
    get_property(group GLOBAL PROPERTY TESSERA_GROUP_${file})
    set_source_files_properties(${file} PROPERTIES UNITY_GROUP ${group})
  endforeach()
  target_link_libraries(tessera_${kind}_tests PRIVATE ${library} tessera_light_verbs tessera_flags GTest::gmock GTest::gtest_main)
  if(TESSERA_ENGINE AND NOT library STREQUAL tessera_core)
    target_link_libraries(tessera_${kind}_tests PRIVATE ZLIB::ZLIB)  # tests compress what Tessera only reads
  endif()
  target_compile_definitions(tessera_${kind}_tests PRIVATE TESSERA_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             TESSERA_BINARY="$<TARGET_FILE:tessera_cli>" TESSERA_LIBTORCH_DIR="${TORCH_INSTALL_PREFIX}")
  if(TESSERA_ENGINE AND TESSERA_MEDIA AND NOT library STREQUAL tessera_core)
    target_link_libraries(tessera_${kind}_tests PRIVATE JPEG::JPEG PkgConfig::webp)  # tests write what Tessera only reads
  endif()
  if(TARGET PkgConfig::sentencepiece AND kind STREQUAL engine)
    target_link_libraries(tessera_${kind}_tests PRIVATE PkgConfig::sentencepiece)  # tests compare with what Tessera replaces
  endif()
  # Tests are compiled for little more than correct code: -O3 takes half as long again, and what they call is the library's.
  target_compile_options(tessera_${kind}_tests PRIVATE $<$<CONFIG:Release>:-O1>)
  if(NOT library STREQUAL tessera_core)
    if(TARGET tessera_engine_tests AND NOT kind STREQUAL engine)
      target_precompile_headers(tessera_${kind}_tests REUSE_FROM tessera_engine_tests)
    else()
      target_precompile_headers(tessera_${kind}_tests PRIVATE ${PROJECT_SOURCE_DIR}/src/tensor/precompiled.h <gmock/gmock.h>)
    endif()
  endif()
  target_include_directories(tessera_${kind}_tests PRIVATE ${PROJECT_SOURCE_DIR})
  add_dependencies(tessera_${kind}_tests tessera_cli)
  set(list ${CMAKE_BINARY_DIR}/tests/${kind})
  configure_file(${PROJECT_SOURCE_DIR}/cmake/TesseraListTests.cmake.in ${list}.in @ONLY)
  file(GENERATE OUTPUT ${list}.cmake INPUT ${list}.in)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY TEST_INCLUDE_FILES ${list}.cmake)
endfunction()

function(tessera_build_tests)
  find_package(GTest REQUIRED)
  if(TESSERA_PLAN)
    tessera_test_binary(light tessera_core)  # fuzzers and verbs of planning are among them
  endif()
  if(TESSERA_ENGINE)
    tessera_test_binary(engine tessera)
    tessera_test_binary(slow tessera)
  endif()
endfunction()
