// A FileSystem that breaks on demand, over a real one: for tests of the whole server, which is
// another process and shall die like one. (For tests inside a process, fault_file_testing.h is
// better.)
//
// The server takes its description from the environment variable SLUICE_FAULT: settings as
// name=number, separated by commas. Counts are of calls by all files together, n calls pass first.
//
//   fdatasync_error_after=n   every later fdatasync fails, as with EIO
//   stall_after=n             the next fdatasync takes stall_ms longer, as on a disk that hangs
//   stall_ms=n                milliseconds; that thread only
//   write_error_after=n       every later write fails like one on a full disk, half written
//   lose_unsynced=1           writes reach the file with its next fdatasync; SIGKILL loses them
//   power_loss_after=n        instead of the next fdatasync some sectors (512 bytes) of what waits
//                             are written, and the process kills itself; implies lose_unsynced
//   seed=n                    which sectors
//
// Thread-safe. Costs a copy of each written byte under lose_unsynced.
//
//   SLUICE_TRY_ASSIGN(auto broken, storage::inject_faults(*fs, getenv("SLUICE_FAULT")));
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "io/file.h"

namespace sluice::storage {

// `below` must outlive the result. kInvalidArgument: the text is not as above.
Result<std::unique_ptr<io::FileSystem>> inject_faults(io::FileSystem& below, std::string_view text);

}  // namespace sluice::storage
