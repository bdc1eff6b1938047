// The FileSystem (io/file.h) of the machine. Stateless: make one and hand it to whoever needs it.
#pragma once

#include <memory>
#include <string>

#include "io/descriptor.h"
#include "io/file.h"

namespace sluice::io {

std::unique_ptr<FileSystem> make_posix_file_system();

// The descriptor alone; blocks, and fails, as FileSystem::open() does.
Result<Descriptor> open_descriptor(const std::string& path, OpenMode mode);

}  // namespace sluice::io
