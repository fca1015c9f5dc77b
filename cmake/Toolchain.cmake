# Compiler, linker and sanitizer settings for everything.
set(FIELDPOST_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined or thread)")
option(FIELDPOST_FUZZ "Build the libFuzzer targets (clang)" OFF)
option(FIELDPOST_PLANTED "Build in the mistakes of shared/base/planted.h; never for use" OFF)
if(FIELDPOST_PLANTED)
  add_compile_definitions(FIELDPOST_PLANTED)
endif()

find_program(FIELDPOST_CCACHE ccache)
if(FIELDPOST_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The precompiled header is fine for ccache once it may ignore its time stamp.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
               CCACHE_PCH_EXTSUM=1 CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${FIELDPOST_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

find_program(FIELDPOST_MOLD mold)
find_program(FIELDPOST_LLD ld.lld)
if(FIELDPOST_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(FIELDPOST_LLD)
  add_link_options(-fuse-ld=lld)
endif()

add_compile_options(-Wall -Wextra -Wshadow -Woverloaded-virtual -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees ghosts in inlined std::string and std::vector code.
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
                      -Wno-stringop-overread -fpch-preprocess)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 crashes in this pass when a precompiled header is in use (seen in tests/support/history.cpp).
    add_compile_options(-fno-ipa-cp)
  endif()
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT FIELDPOST_SANITIZE)
  add_compile_options(-fstack-protector-strong)
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
if(FIELDPOST_SANITIZE)
  add_compile_options(-fsanitize=${FIELDPOST_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FIELDPOST_SANITIZE})
endif()
if(FIELDPOST_FUZZ)
  # Coverage of the libraries, too: without it libFuzzer sees only its own target's few lines.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)  # an index past its end aborts, even without ASan
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)
