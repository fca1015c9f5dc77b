# One target per row of the dependency rule (docs/architecture.md), and how tests are registered.

# Precompiled headers: what nearly every file includes, parsed once. GCC needs one for position-independent
# libraries and one for programs. Sources still include what they use: scripts/lint compiles without them.
function(fieldpost_pch name kind)
  cmake_parse_arguments(ARG "" "" "HEADERS;DEPS" ${ARGN})
  if(kind STREQUAL "PROGRAM")
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/${name}.cpp CONTENT "int main() { return 0; }\n")
    add_executable(${name} EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  else()
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch/${name}.cpp CONTENT "\n")
    add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  endif()
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/shared ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
endfunction()
set(fieldpost_std <algorithm> <array> <cstdint> <functional> <map> <memory> <optional> <set> <span> <string>
  <string_view> <utility> <variant> <vector> "${CMAKE_SOURCE_DIR}/shared/base/result.h")
fieldpost_pch(fieldpost_pch_library LIBRARY HEADERS ${fieldpost_std} DEPS deps::boost)
fieldpost_pch(fieldpost_pch_json LIBRARY HEADERS ${fieldpost_std} <nlohmann/json.hpp>
  DEPS deps::boost nlohmann_json::nlohmann_json)
fieldpost_pch(fieldpost_pch_test PROGRAM
  HEADERS ${fieldpost_std} "${CMAKE_SOURCE_DIR}/tests/support/catch.h" DEPS deps::boost deps::catch2)

# Release builds compile a target's sources in batches (FIELDPOST_UNITY): headers and templates once a batch
# instead of once a file. The price is that names in anonymous namespaces are unique within a target; a target
# that would rather keep its own says SEPARATE. Other builds go file by file, so that an edit rebuilds one.
function(fieldpost_batches target)
  if(FIELDPOST_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
    # A batch is one "header" to GCC, which then warns of types in it that no other file can name.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# fieldpost_library(name SOURCES … DEPS …): a static library whose headers are included from shared/.
function(fieldpost_library name)
  cmake_parse_arguments(ARG "SEPARATE" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(fieldpost_${name} STATIC ${ARG_SOURCES})
  if(NOT ARG_SEPARATE)
    fieldpost_batches(fieldpost_${name})
  endif()
  target_include_directories(fieldpost_${name} PUBLIC ${CMAKE_SOURCE_DIR}/shared ${CMAKE_SOURCE_DIR})
  target_link_libraries(fieldpost_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  target_precompile_headers(fieldpost_${name} REUSE_FROM fieldpost_pch_library)
endfunction()

# fieldpost_needs(label targets …): the target for_LABEL builds what the tests of this label run, and no more.
function(fieldpost_needs label)
  if(NOT TARGET for_${label})
    add_custom_target(for_${label})
  endif()
  add_dependencies(for_${label} ${ARGN})
endfunction()

# fieldpost_test(name LABEL unit SOURCES … DEPS …): a Catch2 program, run by ctest as one test.
# SEPARATE: see fieldpost_batches. LONG marks it for `scripts/test --long` only.
function(fieldpost_test name)
  cmake_parse_arguments(ARG "LONG;SEPARATE" "LABEL;TIMEOUT" "SOURCES;DEPS;ARGS" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  if(NOT ARG_SEPARATE)
    fieldpost_batches(test_${name})
  endif()
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPS} deps::catch2)
  target_compile_definitions(test_${name} PRIVATE FIELDPOST_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             FIELDPOST_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_precompile_headers(test_${name} REUSE_FROM fieldpost_pch_test)
  fieldpost_needs(${ARG_LABEL} test_${name})
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
