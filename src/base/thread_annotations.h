// Clang's thread-safety annotations by short names: which lock guards what, checked by the compiler
// (-Wthread-safety; https://clang.llvm.org/docs/ThreadSafetyAnalysis.html). They cost nothing.
//
//   SpinLock lock_;
//   int count_ SLUICE_GUARDED_BY(lock_) = 0;
//   void grow() SLUICE_REQUIRES(lock_);
#pragma once

#define SLUICE_CAPABILITY(name) __attribute__((capability(name)))
#define SLUICE_SCOPED_CAPABILITY __attribute__((scoped_lockable))
#define SLUICE_GUARDED_BY(lock) __attribute__((guarded_by(lock)))
#define SLUICE_ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define SLUICE_RELEASE_LOCK(...) __attribute__((release_capability(__VA_ARGS__)))
#define SLUICE_TRY_ACQUIRE(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define SLUICE_ACQUIRE_SHARED(...) __attribute__((acquire_shared_capability(__VA_ARGS__)))
#define SLUICE_RELEASE_SHARED(...) __attribute__((release_shared_capability(__VA_ARGS__)))
#define SLUICE_RELEASE_GENERIC(...) __attribute__((release_generic_capability(__VA_ARGS__)))
#define SLUICE_TRY_ACQUIRE_SHARED(...) __attribute__((try_acquire_shared_capability(__VA_ARGS__)))
#define SLUICE_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
// For the few places that the analysis cannot follow; each says why.
#define SLUICE_NO_THREAD_SAFETY_ANALYSIS __attribute__((no_thread_safety_analysis))
