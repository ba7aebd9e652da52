# Warnings and sanitizers of every target.
function(fxc_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion $<$<BOOL:${FXC_WERROR}>:-Werror>)
endfunction()

function(fxc_sanitize)
  if(FXC_SANITIZE)
    foreach(target IN LISTS ARGN)
      target_compile_options(${target} PUBLIC -fsanitize=${FXC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
      target_link_options(${target} PUBLIC -fsanitize=${FXC_SANITIZE})
    endforeach()
  endif()
endfunction()
