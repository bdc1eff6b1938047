// Every error that an etcd client may be answered with: its gRPC status code and its exact text.
//
// Clients tell errors apart by the text, so it must not change by a letter (etcd v3.7,
// api/v3rpc/rpctypes). What has no line here is answered with Code::kUnknown and a text of its own.
//
//   if (request.key().empty()) return fail(errors::kEmptyKey);  // any Result<T>
//   if (errors::kCompacted.is(result.error())) ...
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sluice::etcd {

struct KnownError {
    Code code;
    std::string_view text;

    Error error() const { return Error(code, std::string(text)); }
    bool is(const Error& other) const { return other.code() == code && other.message() == text; }
};

inline std::unexpected<Error> fail(const KnownError& known) {
    return std::unexpected<Error>(known.error());
}

namespace errors {

inline constexpr KnownError kEmptyKey{Code::kInvalidArgument, "etcdserver: key is not provided"};
inline constexpr KnownError kKeyNotFound{Code::kInvalidArgument, "etcdserver: key not found"};
inline constexpr KnownError kValueProvided{Code::kInvalidArgument, "etcdserver: value is provided"};
inline constexpr KnownError kLeaseProvided{Code::kInvalidArgument, "etcdserver: lease is provided"};
inline constexpr KnownError kTooManyOps{Code::kInvalidArgument,
                                        "etcdserver: too many operations in txn request"};
inline constexpr KnownError kDuplicateKey{Code::kInvalidArgument,
                                          "etcdserver: duplicate key given in txn request"};
inline constexpr KnownError kInvalidClientAPIVersion{Code::kInvalidArgument,
                                                     "etcdserver: invalid client api version"};
inline constexpr KnownError kInvalidSortOption{Code::kInvalidArgument,
                                               "etcdserver: invalid sort option"};
inline constexpr KnownError kCompacted{Code::kOutOfRange,
                                       "etcdserver: mvcc: required revision has been compacted"};
inline constexpr KnownError kFutureRev{Code::kOutOfRange,
                                       "etcdserver: mvcc: required revision is a future revision"};
inline constexpr KnownError kNoSpace{Code::kResourceExhausted,
                                     "etcdserver: mvcc: database space exceeded"};
inline constexpr KnownError kLeaseNotFound{Code::kNotFound,
                                           "etcdserver: requested lease not found"};
inline constexpr KnownError kLeaseExist{Code::kFailedPrecondition,
                                        "etcdserver: lease already exists"};
inline constexpr KnownError kLeaseTTLTooLarge{Code::kOutOfRange, "etcdserver: too large lease TTL"};
inline constexpr KnownError kWatchCanceled{Code::kCancelled, "etcdserver: watch canceled"};
inline constexpr KnownError kMemberExist{Code::kFailedPrecondition,
                                         "etcdserver: member ID already exist"};
inline constexpr KnownError kPeerURLExist{Code::kFailedPrecondition,
                                          "etcdserver: Peer URLs already exists"};
inline constexpr KnownError kMemberNotEnoughStarted{
    Code::kFailedPrecondition,
    "etcdserver: re-configuration failed due to not enough started members"};
inline constexpr KnownError kMemberBadURLs{Code::kInvalidArgument,
                                           "etcdserver: given member URLs are invalid"};
inline constexpr KnownError kMemberNotFound{Code::kNotFound, "etcdserver: member not found"};
inline constexpr KnownError kMemberNotLearner{Code::kFailedPrecondition,
                                              "etcdserver: can only promote a learner member"};
inline constexpr KnownError kLearnerNotReady{
    Code::kFailedPrecondition,
    "etcdserver: can only promote a learner member which is in sync with leader"};
inline constexpr KnownError kTooManyLearners{Code::kFailedPrecondition,
                                             "etcdserver: too many learner members in cluster"};
inline constexpr KnownError kClusterIDMismatch{Code::kFailedPrecondition,
                                               "etcdserver: cluster ID mismatch"};
inline constexpr KnownError kRequestTooLarge{Code::kInvalidArgument,
                                             "etcdserver: request is too large"};
inline constexpr KnownError kRequestTooManyRequests{Code::kResourceExhausted,
                                                    "etcdserver: too many requests"};
inline constexpr KnownError kRootUserNotExist{Code::kFailedPrecondition,
                                              "etcdserver: root user does not exist"};
inline constexpr KnownError kRootRoleNotExist{Code::kFailedPrecondition,
                                              "etcdserver: root user does not have root role"};
inline constexpr KnownError kUserAlreadyExist{Code::kFailedPrecondition,
                                              "etcdserver: user name already exists"};
inline constexpr KnownError kUserEmpty{Code::kInvalidArgument, "etcdserver: user name is empty"};
inline constexpr KnownError kUserNotFound{Code::kFailedPrecondition,
                                          "etcdserver: user name not found"};
inline constexpr KnownError kRoleAlreadyExist{Code::kFailedPrecondition,
                                              "etcdserver: role name already exists"};
inline constexpr KnownError kRoleNotFound{Code::kFailedPrecondition,
                                          "etcdserver: role name not found"};
inline constexpr KnownError kRoleEmpty{Code::kInvalidArgument, "etcdserver: role name is empty"};
inline constexpr KnownError kAuthFailed{
    Code::kInvalidArgument, "etcdserver: authentication failed, invalid user ID or password"};
inline constexpr KnownError kPermissionNotGiven{Code::kInvalidArgument,
                                                "etcdserver: permission not given"};
inline constexpr KnownError kPermissionDenied{Code::kPermissionDenied,
                                              "etcdserver: permission denied"};
inline constexpr KnownError kRoleNotGranted{Code::kFailedPrecondition,
                                            "etcdserver: role is not granted to the user"};
inline constexpr KnownError kPermissionNotGranted{
    Code::kFailedPrecondition, "etcdserver: permission is not granted to the role"};
inline constexpr KnownError kAuthNotEnabled{Code::kFailedPrecondition,
                                            "etcdserver: authentication is not enabled"};
inline constexpr KnownError kInvalidAuthToken{Code::kUnauthenticated,
                                              "etcdserver: invalid auth token"};
inline constexpr KnownError kInvalidAuthMgmt{Code::kInvalidArgument,
                                             "etcdserver: invalid auth management"};
inline constexpr KnownError kAuthOldRevision{Code::kInvalidArgument,
                                             "etcdserver: revision of auth store is old"};
inline constexpr KnownError kNoLeader{Code::kUnavailable, "etcdserver: no leader"};
inline constexpr KnownError kNotLeader{Code::kFailedPrecondition, "etcdserver: not leader"};
inline constexpr KnownError kLeaderChanged{Code::kUnavailable, "etcdserver: leader changed"};
inline constexpr KnownError kNotCapable{Code::kFailedPrecondition, "etcdserver: not capable"};
inline constexpr KnownError kStopped{Code::kUnavailable, "etcdserver: server stopped"};
inline constexpr KnownError kTimeout{Code::kUnavailable, "etcdserver: request timed out"};
inline constexpr KnownError kTimeoutDueToLeaderFail{
    Code::kUnavailable, "etcdserver: request timed out, possibly due to previous leader failure"};
inline constexpr KnownError kTimeoutDueToConnectionLost{
    Code::kUnavailable, "etcdserver: request timed out, possibly due to connection lost"};
inline constexpr KnownError kTimeoutWaitAppliedIndex{
    Code::kUnavailable,
    "etcdserver: request timed out, waiting for the applied index took too long"};
inline constexpr KnownError kUnhealthy{Code::kUnavailable, "etcdserver: unhealthy cluster"};
inline constexpr KnownError kCorrupt{Code::kDataLoss, "etcdserver: corrupt cluster"};
inline constexpr KnownError kNotSupportedForLearner{Code::kFailedPrecondition,
                                                    "etcdserver: rpc not supported for learner"};
inline constexpr KnownError kBadLeaderTransferee{Code::kFailedPrecondition,
                                                 "etcdserver: bad leader transferee"};
inline constexpr KnownError kWrongDowngradeVersionFormat{
    Code::kInvalidArgument, "etcdserver: wrong downgrade target version format"};
inline constexpr KnownError kInvalidDowngradeTargetVersion{
    Code::kInvalidArgument, "etcdserver: invalid downgrade target version"};
inline constexpr KnownError kClusterVersionUnavailable{
    Code::kFailedPrecondition, "etcdserver: cluster version not found during downgrade"};
inline constexpr KnownError kDowngradeInProcess{
    Code::kFailedPrecondition, "etcdserver: cluster has a downgrade job in progress"};
inline constexpr KnownError kNoInflightDowngrade{Code::kFailedPrecondition,
                                                 "etcdserver: no inflight downgrade job"};
inline constexpr KnownError kCanceled{Code::kCancelled, "etcdserver: request canceled"};
inline constexpr KnownError kDeadlineExceeded{Code::kDeadlineExceeded,
                                              "etcdserver: context deadline exceeded"};

inline constexpr KnownError kRangeStreamSort{Code::kUnimplemented,
                                             "RangeStream does not support custom sort orders"};
inline constexpr KnownError kRangeStreamFilter{Code::kUnimplemented,
                                               "RangeStream does not support revision filters"};

// Reasons of a cancelled watcher: texts inside a WatchResponse, not statuses.
inline constexpr std::string_view kWatcherDuplicateId =
    "mvcc: duplicate watch ID provided on the WatchStream";
inline constexpr std::string_view kWatcherEmptyRange = "mvcc: watcher range is empty";

}  // namespace errors
}  // namespace sluice::etcd
