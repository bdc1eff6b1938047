// The FileSystem (io/file.h) of the machine. Stateless: make one and hand it to whoever needs it.
#pragma once

#include <memory>

#include "io/file.h"

namespace sluice::io {

std::unique_ptr<FileSystem> make_posix_file_system();

}  // namespace sluice::io
