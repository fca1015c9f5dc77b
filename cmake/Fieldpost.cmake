# One target per row of the dependency rule (docs/architecture.md), and how tests are registered.

# fieldpost_library(name SOURCES … DEPS …): a static library whose headers are included from shared/.
function(fieldpost_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(fieldpost_${name} STATIC ${ARG_SOURCES})
  target_include_directories(fieldpost_${name} PUBLIC ${CMAKE_SOURCE_DIR}/shared ${CMAKE_SOURCE_DIR})
  target_link_libraries(fieldpost_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# fieldpost_test(name LABEL unit SOURCES … DEPS …): a Catch2 program, run by ctest as one test.
# LONG marks it for `scripts/test --long` only.
function(fieldpost_test name)
  cmake_parse_arguments(ARG "LONG" "LABEL;TIMEOUT" "SOURCES;DEPS;ARGS" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPS} deps::catch2)
  target_compile_definitions(test_${name} PRIVATE FIELDPOST_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             FIELDPOST_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${ARG_LABEL}.${name} COMMAND test_${name} ${ARG_ARGS})
  set(labels ${ARG_LABEL})
  if(ARG_LONG)
    list(APPEND labels long)
  endif()
  set_tests_properties(${ARG_LABEL}.${name} PROPERTIES LABELS "${labels}")
  if(ARG_TIMEOUT)
    set_tests_properties(${ARG_LABEL}.${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  endif()
endfunction()

# fieldpost_embed(target SYMBOL symbol HEADER path FILES …): compiles files into the program.
# The generated header declares `std::span<const fieldpost::EmbeddedFile> symbol()`.
function(fieldpost_embed target)
  cmake_parse_arguments(ARG "" "SYMBOL;BASE" "FILES" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_${ARG_SYMBOL}.cpp)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DSYMBOL=${ARG_SYMBOL} -DBASE=${ARG_BASE}
            "-DFILES=${ARG_FILES}" -P ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake
    DEPENDS ${ARG_FILES} ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
