# Every library from outside, as one imported target deps::NAME each. docs/dependencies.md says why.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3 REQUIRED)
if(POLICY CMP0167)
  cmake_policy(SET CMP0167 NEW)  # Boost's own configuration, which Debian packages, finds Boost
endif()
find_package(Boost 1.81 REQUIRED)  # headers only, but for Boost.URL below

function(fieldpost_pkg name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
  add_library(deps::${name} ALIAS PkgConfig::${name})
endfunction()
fieldpost_pkg(sodium libsodium)
fieldpost_pkg(zstd libzstd)

find_path(LMDB_INCLUDE lmdb.h REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
add_library(deps_lmdb INTERFACE)
target_include_directories(deps_lmdb SYSTEM INTERFACE ${LMDB_INCLUDE})
target_link_libraries(deps_lmdb INTERFACE ${LMDB_LIBRARY})
add_library(deps::lmdb ALIAS deps_lmdb)

# Header-only libraries whose packages cannot be installed beside Boost 1.81 are unpacked by
# scripts/setup into .deps/.
set(FIELDPOST_DEPS_INCLUDE ${CMAKE_SOURCE_DIR}/.deps/usr/include)
find_path(MSGPACK_INCLUDE msgpack.hpp HINTS ${FIELDPOST_DEPS_INCLUDE} REQUIRED)
add_library(deps_msgpack INTERFACE)
target_include_directories(deps_msgpack SYSTEM INTERFACE ${MSGPACK_INCLUDE})
target_compile_definitions(deps_msgpack INTERFACE MSGPACK_NO_BOOST)
add_library(deps::msgpack ALIAS deps_msgpack)

find_path(VALIJSON_INCLUDE valijson/validator.hpp HINTS ${FIELDPOST_DEPS_INCLUDE} REQUIRED)
add_library(deps_valijson INTERFACE)
target_include_directories(deps_valijson SYSTEM INTERFACE ${VALIJSON_INCLUDE})
add_library(deps::valijson ALIAS deps_valijson)

find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(spdlog REQUIRED)
find_library(PROMETHEUS_CORE prometheus-cpp-core REQUIRED)
add_library(deps_prometheus INTERFACE)
target_link_libraries(deps_prometheus INTERFACE ${PROMETHEUS_CORE})
add_library(deps::prometheus ALIAS deps_prometheus)

add_library(deps_boost INTERFACE)
target_include_directories(deps_boost SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
target_compile_definitions(deps_boost INTERFACE BOOST_ERROR_CODE_HEADER_ONLY
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
add_library(deps::boost ALIAS deps_boost)

# Boost.URL can be compiled from its headers up to 1.81 (shared/net/url_impl.cpp does); later ones
# are only a library.
add_library(deps_boost_url INTERFACE)
target_link_libraries(deps_boost_url INTERFACE deps_boost)
if(Boost_VERSION VERSION_GREATER_EQUAL 1.82)
  find_package(Boost REQUIRED COMPONENTS url)
  target_link_libraries(deps_boost_url INTERFACE Boost::url)
endif()
add_library(deps::boost_url ALIAS deps_boost_url)

# Catch2: 2.13 on Debian 12 (its prebuilt main has no CMake target), 3 on Debian 13.
find_package(Catch2 REQUIRED)
add_library(deps_catch2 INTERFACE)
if(Catch2_VERSION VERSION_LESS 3)
  find_library(CATCH2_MAIN Catch2WithMain REQUIRED)
  target_link_libraries(deps_catch2 INTERFACE Catch2::Catch2 ${CATCH2_MAIN})
else()
  target_link_libraries(deps_catch2 INTERFACE Catch2::Catch2WithMain)
  target_compile_definitions(deps_catch2 INTERFACE FIELDPOST_CATCH2_V3)
endif()
add_library(deps::catch2 ALIAS deps_catch2)

find_path(RAPIDCHECK_INCLUDE rapidcheck.h REQUIRED)
find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
add_library(deps_rapidcheck INTERFACE)
target_include_directories(deps_rapidcheck SYSTEM INTERFACE ${RAPIDCHECK_INCLUDE})
target_link_libraries(deps_rapidcheck INTERFACE ${RAPIDCHECK_LIBRARY})
add_library(deps::rapidcheck ALIAS deps_rapidcheck)
