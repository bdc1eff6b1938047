// The lock profile as text: a paragraph for each lock, waiter's stack and holder's stack, the one
// with the most waiting first. The frames of the locks' own code are left out.
//
//   lock 0x7f3c8a0: 12 waits, 3 of 200 us and more, 0 given up; 4.100 ms in all, 1.950 ms the
//   longest
//     waiter: fiber 17 "reader"
//       sluice::Index::find(...)+0x4c
//     holder: fiber 3 "merger"
//       sluice::Index::merge(...)+0x113
#pragma once

#include <string>

#include "rt/lock_profile.h"

namespace sluice::observe {

// Reads the program's symbols at the first call, which opens a file (rt/backtrace.h).
std::string lock_text(const rt::LockReport& report);

}  // namespace sluice::observe
