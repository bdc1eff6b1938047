#include "rt/wait_reason.h"

namespace sluice::rt {

const char* wait_reason_name(WaitReason reason) noexcept {
    switch (reason) {
        case WaitReason::kMutex:
            return "mutex";
        case WaitReason::kChannel:
            return "channel";
        case WaitReason::kSelect:
            return "select";
        case WaitReason::kTimer:
            return "timer";
        case WaitReason::kIo:
            return "io";
        case WaitReason::kBlocking:
            return "blocking";
        case WaitReason::kCondition:
            return "condition";
        case WaitReason::kGroup:
            return "group";
        case WaitReason::kProposal:
            return "proposal";
        case WaitReason::kRead:
            return "read";
        case WaitReason::kOther:
            return "other";
    }
    return "?";
}

}  // namespace sluice::rt
