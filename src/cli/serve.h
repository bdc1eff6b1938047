// `sluice serve`: builds the world (clock, logs, metrics, runtime), runs the etcd face in it, and
// stops it at SIGTERM or SIGINT.
#pragma once

#include "cli/serve_options.h"

namespace sluice::cli {

// Returns the process's exit status: 0 after a clean stop, 1 if it could not start. Blocks.
int serve(const ServeOptions& options);

}  // namespace sluice::cli
