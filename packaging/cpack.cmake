# For cpack. Everything in a package has the time of its change log's first entry: packages of one source are the same.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/debian/changelog dated REGEX "^ -- ")
  list(GET dated 0 dated)
  string(REGEX REPLACE ".*>  " "" dated "${dated}")
  execute_process(COMMAND date -d "${dated}" +%s OUTPUT_VARIABLE epoch OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()
