#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace sluice {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::kInvalidArgument, "odd");
    return n / 2;
}

Result<int> quarter(int n) {
    SLUICE_TRY_ASSIGN(const int h, half(n));
    SLUICE_TRY(half(h));
    return h / 2;
}

TEST(Result, TryPassesValuesAndErrors) {
    EXPECT_EQ(quarter(8).value(), 2);
    ASSERT_FALSE(quarter(6).has_value());
    EXPECT_EQ(quarter(6).error().code(), Code::kInvalidArgument);
    EXPECT_EQ(quarter(6).error().with_context("quarter").message(), "quarter: odd");
}

TEST(Error, ComesFromErrno) {
    const Error error = Error::from_errno(-ENOSPC, "write the log");
    EXPECT_EQ(error.message(), "write the log: No space left on device");
    EXPECT_EQ(error.code(), Code::kResourceExhausted);
    EXPECT_EQ(Error::from_errno(-ENOENT, "").code(), Code::kNotFound);
    EXPECT_EQ(Error::from_errno(-EIO, "").code(), Code::kInternal);
}

}  // namespace
}  // namespace sluice
