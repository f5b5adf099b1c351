# `cmake --install`: a tree that can be moved (rpaths from $ORIGIN) and find_package(Tessera). LibTorch is not part of it.
# The library looks for it in `libtorch` inside the tree, in `libtorch` beside the tree, where it was when Tessera was
# built (said when it is installed, and left out with TESSERA_REMEMBER_LIBTORCH=OFF), and in /opt/libtorch;
# TESSERA_LIBTORCH in the environment comes before all of them (src/apps/engine.cc).
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
  set(places "$ORIGIN" "$ORIGIN/../libtorch/lib" "$ORIGIN/../../libtorch/lib")
  if(TESSERA_REMEMBER_LIBTORCH)
    list(APPEND places ${TORCH_INSTALL_PREFIX}/lib)
  endif()
  set_target_properties(tessera PROPERTIES INSTALL_RPATH "${places};/opt/libtorch/lib")
  install(TARGETS tessera EXPORT TesseraEngine LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  list(APPEND export_sets Engine)
endif()
install(TARGETS tessera_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(CODE "set(TESSERA_SOURCES \"${PROJECT_SOURCE_DIR}/src\")\ninclude(\"${PROJECT_SOURCE_DIR}/cmake/TesseraHeaders.cmake\")")
foreach(part IN LISTS export_sets)
  install(EXPORT Tessera${part} NAMESPACE Tessera:: FILE Tessera${part}Targets.cmake DESTINATION ${package_dir})
endforeach()

set(built_with "")
if(TESSERA_REMEMBER_LIBTORCH)
  set(built_with "${TORCH_INSTALL_PREFIX}")
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/TesseraConfig.cmake.in ${CMAKE_BINARY_DIR}/TesseraConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/TesseraConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/TesseraConfig.cmake ${CMAKE_BINARY_DIR}/TesseraConfigVersion.cmake DESTINATION ${package_dir})
foreach(data models examples/demo examples/density examples/embed examples/ladder)  # what the README's commands name
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${data}/ DESTINATION share/tessera/${data})
endforeach()

# Made by the program itself (src/apps/CMakeLists.txt). zsh looks into site-functions, Debian's into vendor-completions.
set(shell ${CMAKE_BINARY_DIR}/shell)
install(FILES ${shell}/tessera DESTINATION share/bash-completion/completions)
foreach(folder site-functions vendor-completions)
  install(FILES ${shell}/_tessera DESTINATION share/zsh/${folder})
endforeach()
install(FILES ${shell}/tessera.fish DESTINATION share/fish/vendor_completions.d)
install(FILES ${shell}/tessera.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

if(TESSERA_ENGINE)
  set(remembered "")
  if(TESSERA_REMEMBER_LIBTORCH)
    set(remembered ", in ${TORCH_INSTALL_PREFIX}, where this build found it (-DTESSERA_REMEMBER_LIBTORCH=OFF leaves that out)")
  endif()
  install(CODE "message(STATUS \"LibTorch ${Torch_VERSION} is not part of the tree. It is looked for in the folder that TESSERA_LIBTORCH names, \"
    \"in libtorch inside and beside the tree${remembered}, and in /opt/libtorch; 'tessera devices' says which one was found.\")")
endif()
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
