# hidden_archive(TARGET ARCHIVE): TARGET links Debian's static ARCHIVE in a way that also works in a shared
# library. Debian compiles its archives for executables; all that a shared library cannot take of those used
# here is their direct reference to stdout and stderr, so these are renamed (to what base/streams.h defines).
function(hidden_archive target archive)
  find_library(ARCHIVE_${archive} ${archive} REQUIRED)
  set(renamed ${CMAKE_CURRENT_BINARY_DIR}/hidden_${archive})
  add_custom_command(OUTPUT ${renamed}
    COMMAND ${CMAKE_OBJCOPY} --redefine-sym stderr=postern_stderr --redefine-sym stdout=postern_stdout
            ${ARCHIVE_${archive}} ${renamed}
    DEPENDS ${ARCHIVE_${archive}})
  add_custom_target(${target}_${archive} DEPENDS ${renamed})
  add_dependencies(${target} ${target}_${archive})
  target_link_libraries(${target} PUBLIC ${renamed})
endfunction()
