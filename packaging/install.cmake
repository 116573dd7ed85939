# What an installation has, and the Debian package of it (cpack in the build directory).
include(GNUInstallDirs)
set(POSTERN_PROGRAMS ${CMAKE_INSTALL_PREFIX}/lib/postern)

# The man page and the completions are the command line's own words.
set(GENERATED ${CMAKE_BINARY_DIR}/packaging)
set(DOCUMENTS ${GENERATED}/postern.1.gz)
add_custom_command(
  OUTPUT ${GENERATED}/postern.1.gz
  COMMAND ${CMAKE_COMMAND} -E make_directory ${GENERATED}
  COMMAND sh -c "$<TARGET_FILE:postern> manual | gzip -9 -n > ${GENERATED}/postern.1.gz"
  DEPENDS postern VERBATIM)
foreach(shell bash zsh fish)
  add_custom_command(
    OUTPUT ${GENERATED}/postern.${shell}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${GENERATED}
    COMMAND sh -c "$<TARGET_FILE:postern> completions ${shell} > ${GENERATED}/postern.${shell}"
    DEPENDS postern VERBATIM)
  list(APPEND DOCUMENTS ${GENERATED}/postern.${shell})
endforeach()
add_custom_command(
  OUTPUT ${GENERATED}/changelog.Debian.gz
  COMMAND sh -c "gzip -9 -n < ${CMAKE_SOURCE_DIR}/packaging/debian/changelog > ${GENERATED}/changelog.Debian.gz"
  DEPENDS ${CMAKE_SOURCE_DIR}/packaging/debian/changelog VERBATIM)
list(APPEND DOCUMENTS ${GENERATED}/changelog.Debian.gz)
add_custom_target(documents ALL DEPENDS ${DOCUMENTS})

install(TARGETS postern RUNTIME DESTINATION bin)
install(TARGETS postern-broker postern-server RUNTIME DESTINATION lib/postern)
install(TARGETS postern-worker LIBRARY DESTINATION lib/postern)
install(FILES ${POSTERN_LIB}/postern-worker.snapshot DESTINATION lib/postern)
install(PROGRAMS ${POSTERN_NODE}/bin/node DESTINATION lib/postern)
install(FILES packaging/systemd/postern.service packaging/systemd/postern.socket DESTINATION lib/systemd/system)
install(FILES packaging/policy.yaml DESTINATION /etc/postern)
install(FILES ${GENERATED}/postern.1.gz DESTINATION share/man/man1)
install(FILES ${GENERATED}/postern.bash DESTINATION share/bash-completion/completions RENAME postern)
install(FILES ${GENERATED}/postern.zsh DESTINATION share/zsh/vendor-completions RENAME _postern)
install(FILES ${GENERATED}/postern.fish DESTINATION share/fish/vendor_completions.d)
install(FILES packaging/debian/copyright ${GENERATED}/changelog.Debian.gz DESTINATION share/doc/postern)
install(DIRECTORY docs/ DESTINATION share/doc/postern)
install(FILES packaging/systemd/network.conf DESTINATION share/doc/postern/examples)
install(FILES ${CMAKE_BINARY_DIR}/worker/LICENSE.packages DESTINATION share/doc/postern)
install(FILES ${POSTERN_NODE}/LICENSE DESTINATION share/doc/postern RENAME LICENSE.node)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME postern)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Postern developers <postern@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "run JavaScript that nobody has vetted")
set(CPACK_PACKAGE_DESCRIPTION "Postern runs JavaScript in processes that hold no socket and see no file: each is
confined by namespaces, Landlock and seccomp, and all of its network traffic goes
through a broker, which performs what a policy allows and answers everything else at
once. It is a command, a service and a container's entry point.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES OFF) # what is preloaded must stay as it was measured
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION javascript)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "systemd")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/debian/conffiles;${CMAKE_SOURCE_DIR}/packaging/debian/postinst;${CMAKE_SOURCE_DIR}/packaging/debian/prerm;${CMAKE_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_THREADS 0)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/packaging/cpack.cmake)
include(CPack)
