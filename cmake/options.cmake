# Compiler flags and the switches the presets set.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(SLUICE_SANITIZER "" CACHE STRING "thread, undefined, address,undefined or empty")
option(SLUICE_FUZZ "build the fuzz targets instead of the tests" OFF)
option(SLUICE_STATIC "link everything statically" OFF)
option(SLUICE_COVERAGE "instrument for source coverage" OFF)

set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
set(CMAKE_ASM_FLAGS_DEV "-g1")
set(CMAKE_EXE_LINKER_FLAGS_DEV "")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DSLUICE_RELEASE")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# Frame pointers stay, so that profiles and fiber dumps can walk stacks by hand.
add_compile_options(-fno-omit-frame-pointer -mno-omit-leaf-frame-pointer)
set(SLUICE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wthread-safety
    -Wimplicit-fallthrough -Werror)
# as-needed: a library that only a test calls (Boost.Context) is not loaded by the server.
add_link_options(-fuse-ld=lld -Wl,--as-needed)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_compile_options(-march=x86-64-v2)
endif()

if(SLUICE_SANITIZER)
  add_compile_options(-fsanitize=${SLUICE_SANITIZER})
  add_link_options(-fsanitize=${SLUICE_SANITIZER})
  if(SLUICE_SANITIZER MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=all -fno-sanitize=vptr)
  endif()
endif()
if(SLUICE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(SLUICE_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()
if(SLUICE_SANITIZER STREQUAL "thread")
  set(SLUICE_TEST_ENVIRONMENT
      ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/test/tsan.supp")
endif()
