// The lines that our runtime runs; each is called on the first fiber, but `run_switch`.
#pragma once

#include "measure.h"

namespace vs {

// tasks.cc
void run_switch(const Options& options);
void run_yield(const Options& options, int fibers);
void run_spawn(const Options& options, int batch);
void run_parked(const Options& options);

// waits.cc
void run_unbuffered(const Options& options);
void run_buffered(const Options& options);
void run_select(const Options& options);
void run_mutex(const Options& options);
void run_mutex_contended(const Options& options);
void run_timer(const Options& options);
void run_context(const Options& options);
void run_pool(const Options& options);

// echo.cc
void run_echo(const Options& options);
void run_echo_callback(const Options& options);

}  // namespace vs
