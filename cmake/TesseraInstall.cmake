# `cmake --install`: a tree that can be moved (rpaths from $ORIGIN) and find_package(Tessera). LibTorch is not part of it.
# The library looks for it in `libtorch` inside the tree, in `libtorch` beside the tree, where it was when Tessera was
# built, and in /opt/libtorch; TESSERA_LIBTORCH in the environment comes before all of them (src/apps/engine.cc).
include_guard()
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Tessera)
file(RELATIVE_PATH libraries_from_bin /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set_target_properties(tessera_core PROPERTIES EXPORT_NAME core INSTALL_RPATH "$ORIGIN")
set_target_properties(tessera_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries_from_bin}")

# Two export sets, so that a program can take the core without having LibTorch at all.
install(TARGETS tessera_core EXPORT TesseraCore LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TESSERA_PLAN)
  set_target_properties(tessera_plan PROPERTIES EXPORT_NAME plan INSTALL_RPATH "$ORIGIN")
  install(TARGETS tessera_plan EXPORT TesseraCore LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
set(export_sets Core)
if(TESSERA_ENGINE)
  set_target_properties(tessera PROPERTIES INSTALL_RPATH
    "$ORIGIN;$ORIGIN/../libtorch/lib;$ORIGIN/../../libtorch/lib;${TORCH_INSTALL_PREFIX}/lib;/opt/libtorch/lib")
  install(TARGETS tessera EXPORT TesseraEngine LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  list(APPEND export_sets Engine)
endif()
install(TARGETS tessera_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/ DESTINATION include/tessera
  FILES_MATCHING PATTERN "*.h" PATTERN "apps" EXCLUDE PATTERN "hub" EXCLUDE PATTERN "testing.h" EXCLUDE)
foreach(part IN LISTS export_sets)
  install(EXPORT Tessera${part} NAMESPACE Tessera:: FILE Tessera${part}Targets.cmake DESTINATION ${package_dir})
endforeach()

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/TesseraConfig.cmake.in ${CMAKE_BINARY_DIR}/TesseraConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/TesseraConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/TesseraConfig.cmake ${CMAKE_BINARY_DIR}/TesseraConfigVersion.cmake DESTINATION ${package_dir})
foreach(data models examples/demo examples/density examples/ladder)  # what the README's commands name
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${data}/ DESTINATION share/tessera/${data})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
