# postern_room(SOURCES … [FOLDERS …] [USES …] [LIBRARIES …] [PRECOMPILED ROOM]): the folder of the calling CMakeLists.txt is a room, a library of
# its own. Its name is the folder's, "worker_engine" for worker/engine.
#   FOLDERS      folders of it that belong to the same room
#   USES         rooms whose headers it may include (docs/design.md has the table of all arrows)
#   LIBRARIES    others', which users of the room's headers get as well
#   PRECOMPILED  the room whose precompiled headers it shares
#
# A room has an include directory, made when configuring, with links to its own headers and to nothing else: headers are named from
# the root ("worker/engine/engine.h"), and one of a room that is not used is not found.
function(postern_headers name)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(include ${CMAKE_BINARY_DIR}/rooms/${name})
  file(REMOVE_RECURSE ${include})
  foreach(part "" ${ARGN})
    file(MAKE_DIRECTORY ${include}/${folder}/${part})
    file(GLOB headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${part}/*.h)
    foreach(header ${headers})
      file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/${header} ${include}/${folder}/${header} SYMBOLIC)
    endforeach()
  endforeach()
  set(POSTERN_HEADERS ${include} PARENT_SCOPE)
endfunction()

function(postern_room)
  cmake_parse_arguments(PARSE_ARGV 0 ROOM "" "PRECOMPILED" "SOURCES;FOLDERS;USES;LIBRARIES")
  if(ROOM_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "postern_room: what is ${ROOM_UNPARSED_ARGUMENTS}?")
  endif()
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE / _ name ${folder})
  postern_headers(${name} ${ROOM_FOLDERS})
  add_library(${name} STATIC EXCLUDE_FROM_ALL ${ROOM_SOURCES})
  target_include_directories(${name} PUBLIC ${POSTERN_HEADERS})
  target_link_libraries(${name} PUBLIC ${ROOM_USES} ${ROOM_LIBRARIES})
  if(ROOM_PRECOMPILED)
    target_precompile_headers(${name} REUSE_FROM ${ROOM_PRECOMPILED})
  endif()
  set(POSTERN_HEADERS ${POSTERN_HEADERS} PARENT_SCOPE)
endfunction()
