# libfxcost_omp: the parallel drivers over libfxcost, the only object that needs an OpenMP runtime. LLVM's libomp is the
# supported one; with gcc the same library is named on the command line (gcc's own libgomp hangs after fork).
find_library(FXC_LIBOMP NAMES omp HINTS /usr/lib/llvm-19/lib /usr/lib/llvm-18/lib /usr/lib/llvm-17/lib)
if(FXC_LIBOMP)
  add_library(fxcost_omp SHARED passes/sweep_omp.c)
  target_link_libraries(fxcost_omp PUBLIC fxcost PRIVATE ${FXC_LIBOMP})
  target_include_directories(fxcost_omp PRIVATE ${PROJECT_SOURCE_DIR})
  set_source_files_properties(passes/sweep_omp.c PROPERTIES COMPILE_OPTIONS -fopenmp)
  set_target_properties(fxcost_omp PROPERTIES LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
                                              SOVERSION ${PROJECT_VERSION_MAJOR} INSTALL_RPATH "$ORIGIN")
  target_link_options(fxcost_omp PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/fxcost.map)
  fxc_warnings(fxcost_omp)
  fxc_sanitize(fxcost_omp)
  add_library(fxcost::fxcost_omp ALIAS fxcost_omp)
else()
  message(STATUS "no libomp found: libfxcost_omp is not built (install libomp-19-dev)")
endif()
