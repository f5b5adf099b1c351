# `./dev package` (CPack): an archive that runs where it is unpacked, and a Debian package under /usr, each of the whole
# installed tree. LibTorch is in neither: it is found when the program starts (cmake/TesseraInstall.cmake says where).
include_guard()

set(CPACK_PACKAGE_NAME tessera)
set(CPACK_PACKAGE_VENDOR "The Tessera authors")
set(CPACK_PACKAGE_CONTACT "The Tessera authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION
"Draws, sees and writes with multimodal autoregressive models, trains them, packs them in 4 bits and plans large runs from
small ones. The verbs that need LibTorch (all but plan and inspect) look for release ${Torch_VERSION}, which is no Debian package: the
folder is named by TESSERA_LIBTORCH or is /opt/libtorch.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR TGZ)
set(CPACK_STRIP_FILES ON)
string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" system)
set(CPACK_PACKAGE_FILE_NAME tessera-${PROJECT_VERSION}-${system})
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/TesseraPackageForget.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "fonts-noto-color-emoji, unicode-data, unicode-cldr-core")  # Emoji World draws with them
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libfmt-dev, nlohmann-json3-dev")  # find_package(Tessera)
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
if(DPKG_SHLIBDEPS)
  list(APPEND CPACK_GENERATOR DEB)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/lib ${TORCH_INSTALL_PREFIX}/lib)
endif()

include(CPack)
