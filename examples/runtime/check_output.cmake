# cmake -DPROGRAM=... -DEXPECTED=FILE -P check_output.cmake: runs the program, and fails unless it
# ends well and writes exactly what the file holds.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE written RESULT_VARIABLE result)
file(READ ${EXPECTED} expected)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ended with ${result}")
endif()
if(NOT written STREQUAL expected)
  message(FATAL_ERROR "it wrote:\n${written}and should have written:\n${expected}")
endif()
