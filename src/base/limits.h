// Every bound in Sluice, by name. A queue, buffer, retry or wait without a line here is a bug.
// Grouped by layer; where two bounds depend on each other a static_assert below says how.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace sluice::limits {

// ---- base

// Cells that a counter is spread over; more only cost memory.
inline constexpr unsigned kMetricShardsMax = 16;
// Bounds of one exported histogram.
inline constexpr std::size_t kMetricBucketsMax = 64;
// Label sets of one metric name, so that a scrape stays small.
inline constexpr std::size_t kMetricFamilySizeMax = 512;
// Workers and threads that record time accounts.
inline constexpr unsigned kStageShardsMax = 1024;
// The spin at start that measures the tick counter's rate to about 1e-4.
inline constexpr std::int64_t kTickCalibrationNs = 500'000;
// Readings of clock and counter together; one in which the thread was not held is enough.
inline constexpr unsigned kTickReadings = 8;
// Time slice of a thread that requests wait for. given: by the kernel, its smallest
inline constexpr std::int64_t kWakeUpSliceNs = 100'000;
// Lines waiting for the log writer; a full queue drops the oldest.
inline constexpr std::size_t kLogQueueLines = 4096;
// One log line; the rest is cut.
inline constexpr std::size_t kLogLineBytesMax = 16 * 1024;
// A flush whose queue entry was overrun by a burst asks again after this.
inline constexpr std::int64_t kLogFlushRetryNs = 100'000'000;

// Looks at the process's memory (base/memory_limit.h), and pauses between two demands to shrink.
inline constexpr TimeNs kMemoryLookNs = 100'000'000;
inline constexpr TimeNs kMemoryPauseMinNs = 250'000'000;
inline constexpr TimeNs kMemoryPauseMaxNs = 10'000'000'000;
// A second demand after the last one: mimalloc 2.0 keeps freed segments for half a second.
inline constexpr TimeNs kMemoryAgainNs = 550'000'000;
// Growth of a process that has become quiet, and an eighth, after which its caches shrink.
inline constexpr std::size_t kMemoryGrowthBytes = 16 << 20;

// ---- rt

inline constexpr int kStackDumpFramesMax = 32;               // frames shown of a fiber's stack
inline constexpr std::size_t kDumpFibersMax = 10'000;        // shown; the rest is counted
inline constexpr int kMangledDepthMax = 64;                  // deeper C++ names stay mangled
inline constexpr std::size_t kLockProfileRows = 256;         // of a worker, 272 B each
inline constexpr std::size_t kLockProfileWays = 8;           // rows that one wait may go to
inline constexpr std::size_t kLockProfileFrames = 8;         // kept of each stack
inline constexpr std::int64_t kLockShortWaitNs = 20'000;     // shorter waits are sampled
inline constexpr unsigned kLockWaitsPerSample = 16;          // of those; one in so many
inline constexpr std::size_t kLockPartyNameBytes = 32;       // of a fiber's name, with the NUL
inline constexpr std::int64_t kLockLongWaitNs = 200'000;     // a wait for a lock worth a look
inline constexpr std::int64_t kStackCaptureNs = 50'000'000;  // for a worker's answer to a signal
inline constexpr unsigned kWorkersMax = 256;                 // threads that run fibers
inline constexpr std::size_t kFiberStackBytes = 256 * 1024;  // RocksDB and protobuf run on it
inline constexpr std::size_t kFiberStackSmallBytes = 64 * 1024;  // for very many shallow fibers
inline constexpr std::size_t kFiberStackLargeBytes = 1 << 20;  // for foreign code of unknown depth
inline constexpr std::size_t kFiberStackBytesMin = 16 * 1024;  // signal frames and printf must fit
inline constexpr std::size_t kFibersMax = 4 << 20;             // stack slots of one size
inline constexpr std::size_t kFiberClosureBytesMax = 1024;  // lies in the fiber's first stack page
inline constexpr unsigned kRunQueueSlots = 256;             // of a worker; more overflow
inline constexpr unsigned kRunNextMax = 3;              // in a row, before the queue gets its turn
inline constexpr unsigned kGlobalQueueInterval = 61;    // picks between looks at the global queue
inline constexpr int kFiberBudget = 128;                // operations without a wait, then yield
inline constexpr unsigned kStackCacheSlots = 64;        // free stacks that a worker keeps warm
inline constexpr unsigned kStackDepotWarm = 1024;       // free stacks of a size, memory kept
inline constexpr unsigned kStackDepotWarmLarge = 64;    // the same of the large ones
inline constexpr TimeNs kStackSurplusNs = 150'000'000;  // more go back, if not needed for so long
inline constexpr std::size_t kStackReturnSlots = 65'536;  // given back in one look; about 30 ms
inline constexpr std::size_t kStackReturnBatch = 256;     // the same, where no monitor looks
inline constexpr std::size_t kStackLookSlots = 4096;      // looked at for one report; about 0.1 ms
inline constexpr std::size_t kStackLiveSamples = 64;      // fibers of a size that it names
inline constexpr std::size_t kStackNamesMax = 64;         // names of fibers whose depth is kept
inline constexpr std::size_t kStackMeasureEvery = 64;     // one new slot in so many is measured
inline constexpr TimeNs kStackSampleNs = 100'000'000;     // and one in use, by each busy worker
inline constexpr TimeNs kMonitorTickNs = 10'000'000;      // between looks at the workers
inline constexpr unsigned kMonitorIdleTicks = 3;          // with all asleep; then it sleeps too
inline constexpr TimeNs kSliceNs = 10'000'000;          // a fiber's turn; then it is asked to yield
inline constexpr TimeNs kStallNs = 20'000'000;          // a turn that is reported
inline constexpr unsigned kStallReportsPerMinute = 12;  // the others are only counted
inline constexpr unsigned kSpareWorkersMax = 4;         // added while all others are stuck
inline constexpr unsigned kWorkerCountWindows = 10;     // looks of the monitor; then fewer workers
inline constexpr unsigned kCpusMax = 1024;              // given: the C library's cpu_set_t
inline constexpr TimeNs kPollIntervalNs = 100'000;  // a busy worker looks at I/O at least so often
inline constexpr std::size_t kTimerHeapMax = 1024;  // armed timers; later ones go to the wheel
inline constexpr std::size_t kTimerCascadeMax = 4096;  // timers moved in one turn; about 0.1 ms
inline constexpr TimeNs kTimerRescueNs = 1'000'000;    // an idle worker takes over timers so late
inline constexpr std::size_t kTraceRingEvents = 4096;  // kept of each worker, 32 B each
inline constexpr unsigned kBlockingThreadsMax = 64;    // RocksDB reads, DNS, file metadata
inline constexpr TimeNs kBlockingThreadIdleNs = 10'000'000'000;  // then a thread ends
static_assert(kFiberStackBytesMin <= kFiberStackSmallBytes);
static_assert(kFiberStackSmallBytes < kFiberStackBytes && kFiberStackBytes < kFiberStackLargeBytes);
static_assert(kSliceNs <= kStallNs, "asked before it is reported");
static_assert(kLockProfileWays <= kLockProfileRows);
static_assert(kFiberClosureBytesMax * 4 <= kFiberStackBytesMin);
static_assert((kRunQueueSlots & (kRunQueueSlots - 1)) == 0, "indices wrap by masking");

// ---- sync, io

inline constexpr unsigned kMutexSpins = 30;                  // rounds with a pause; then park
inline constexpr std::int64_t kMutexStarvingNs = 1'000'000;  // ns passed over; then handed over
inline constexpr std::size_t kSelectCasesMax = 16;           // cases of one select
inline constexpr std::size_t kSingleflightBuckets = 64;      // locks that keys are spread over
inline constexpr std::size_t kPoolLocalObjects = 64;         // free ones that a worker keeps
inline constexpr std::size_t kPoolSharedObjects = 1024;      // free ones behind all workers
inline constexpr std::size_t kJobClosureBytes = 48;     // of a worker pool's job, kept in place
inline constexpr std::size_t kWorkerPoolBatchMax = 64;  // jobs of one hand-over to a thread

inline constexpr std::size_t kChunkSmallBytes = 16 << 10;  // bytes; one HTTP/2 frame, one read
inline constexpr std::size_t kChunkLargeBytes = 64 << 10;  // bytes; one writev of a busy connection
inline constexpr std::size_t kChunkHugeBytes = 256 << 10;  // bytes; the largest that is pooled
// Size classes of I/O buffers, and how many free chunks of each a worker keeps: 1-2 MiB.
struct ChunkClass {
    std::size_t bytes;
    std::size_t kept;
};
inline constexpr std::array<ChunkClass, 4> kChunkClasses{
    {{4 << 10, 256}, {kChunkSmallBytes, 128}, {kChunkLargeBytes, 32}, {kChunkHugeBytes, 8}}};

inline constexpr std::size_t kIoVectorParts = 256;  // parts a gathered write; kernel takes 1024

// Bytes in the kernel that an accepted socket has not sent yet; more would only delay small
// answers.
inline constexpr int kSocketUnsentBytes = 256 << 10;
inline constexpr std::size_t kEventsPerPoll = 256;   // then fibers get their turn
inline constexpr unsigned kUringSubmissions = 256;   // entries; more take a further call
inline constexpr unsigned kUringCompletions = 4096;  // entries; beyond it the kernel keeps them
inline constexpr unsigned kSpinsBeforeYield = 200;   // rounds; then sched_yield()
inline constexpr std::size_t kWatchesPerPollerMax = 1 << 21;      // registrations; 16 B each
inline constexpr std::int64_t kAcceptPauseMinNs = 10'000'000;     // ns; out of descriptors
inline constexpr std::int64_t kAcceptPauseMaxNs = 1'000'000'000;  // ns; the pause doubles up to it

// Small files read by one system call, and the most that one of them may hold.
inline constexpr std::size_t kSmallFilesBatch = 64;
inline constexpr std::size_t kSmallFileBytesMax = 64 << 10;
// Bytes of a file sent to a socket at once by a thread of the blocking pool.
inline constexpr std::size_t kSendFileBytes = 256u << 10;
// Bytes that a stream's pipe holds on their way to another stream (io/splice_pipe.h), if the kernel
// allows so much; it grants a user 64 MiB in all pipes.
inline constexpr std::size_t kSplicePipeBytes = 256u << 10;
// Bytes of one call on a file. given: the kernel takes no more than 2 GiB
inline constexpr std::size_t kOperationBytesMax = 1u << 30;

// ---- net

// HTTP/2 (net/http2). Bytes unless said otherwise.
// A longer header block is always decoded.
inline constexpr std::size_t kHpackCachedBlockBytes = 23;
inline constexpr std::uint32_t kHttp2FrameBytesMax = 16'384;  // payload; the RFC's smallest maximum
inline constexpr std::uint32_t kHttp2StreamsMax = 1'024;      // concurrent calls of one connection
inline constexpr std::uint32_t kHttp2StreamWindowBytes = 256 * 1024;       // one request in flight
inline constexpr std::uint32_t kHttp2ConnectionWindowBytes = 1024 * 1024;  // all requests together
inline constexpr std::uint32_t kHttp2StreamPendingBytes = 256 * 1024;  // unsent, then back-pressure
inline constexpr std::uint32_t kHttp2ConnectionPendingBytes = 4 * 1024 * 1024;  // of all streams
// Complete answers of one connection that wait for its client; with so many of them, and
// kHttp2ConnectionPendingBytes in them, no further unary call is begun until some are taken.
inline constexpr std::uint32_t kGrpcUnreadAnswers = 16;
inline constexpr std::uint32_t kHttp2OutputTurnBytes = 128 * 1024;     // DATA ahead of the socket
inline constexpr std::uint32_t kHttp2ControlOutputBytes = 256 * 1024;  // unread answers: then stop
inline constexpr std::uint32_t kHttp2HeaderBlockBytesMax = 16'384;  // encoded, with CONTINUATIONs
inline constexpr std::uint32_t kHttp2ContinuationsMax = 8;          // frames of one header block
inline constexpr std::uint32_t kHttp2HeaderListBytesMax = 16'384;   // decoded, RFC 9113 6.5.2
inline constexpr std::uint32_t kHttp2SettingsEntriesMax = 32;       // of one SETTINGS frame
inline constexpr std::uint32_t kHpackTableBytes = 4'096;      // dynamic table, both directions
inline constexpr std::uint32_t kSharedFieldsMax = 32;         // fields an encoder may insert
inline constexpr std::uint32_t kOutputChunkBytes = 16'384;    // largest owned chunk of output
inline constexpr std::uint32_t kOutputShareBytesMin = 1'024;  // shorter slices are copied

// Token buckets per connection against floods: `burst` events at once, then `rate` a second. Work
// done for the peer earns tokens back (net/http2/flood_guard.h).
struct FloodLimit {
    std::uint16_t burst;
    std::uint16_t rate;
};
inline constexpr FloodLimit kFloodResetReceived{1'000, 100};    // RST_STREAM: "rapid reset"
inline constexpr FloodLimit kFloodResetSent{1'000, 100};        // resets the peer provoked
inline constexpr FloodLimit kFloodPing{1'000, 100};             // PING without ACK
inline constexpr FloodLimit kFloodSettings{100, 10};            // SETTINGS without ACK
inline constexpr FloodLimit kFloodPriority{2'000, 100};         // PRIORITY: does nothing here
inline constexpr FloodLimit kFloodWindowUpdate{10'000, 1'000};  // beyond two for each DATA sent
inline constexpr FloodLimit kFloodEmptyFrame{1'000, 100};       // DATA, CONTINUATION without bytes
inline constexpr FloodLimit kFloodUnknownFrame{1'000, 100};     // frames of unknown types

// HTTP/1.1 (net/http1).
inline constexpr std::uint32_t kHttp1HeadBytesMax = 16'384;           // request line and headers
inline constexpr std::uint32_t kHttp1BodyBytesMax = 4 * 1024 * 1024;  // of a POST
inline constexpr std::uint32_t kHttp1HeadersMax = 100;                // lines of one head

static_assert(kHttp2HeaderBlockBytesMax >= kHttp2FrameBytesMax);  // one HEADERS frame always fits
static_assert(kHttp2StreamPendingBytes <= kHttp2ConnectionPendingBytes);
static_assert(kHttp2ConnectionWindowBytes >= kHttp2StreamWindowBytes);
static_assert(kHttp2OutputTurnBytes >= kHttp2FrameBytesMax);

inline constexpr std::uint32_t kConnectionsMax = 1'000'000;  // open connections of one server
// Until a connection's first bytes have come, as gRPC servers do.
inline constexpr std::int64_t kHandshakeTimeoutNs = 120'000'000'000;
inline constexpr std::size_t kReadBytesPerTurn = 256 << 10;   // of one connection before others run
inline constexpr std::size_t kWriteBytesPerTurn = 256 << 10;  // the same for output
inline constexpr std::int64_t kIdleTrimNs = 1'000'000'000;    // quiet for so long: buffers go back
inline constexpr std::size_t kIdleTrimBatch = 64;             // connections asked for them at once
inline constexpr std::int64_t kIdleTrimPauseNs = 1'000'000;   // between two such batches
inline constexpr std::int64_t kLingerNs = 1'000'000'000;      // after our last byte, for the peer's
inline constexpr std::int64_t kHalfClosedNs = 10'000'000'000;  // for answers after the peer's end
// What HTTP/1.1 answers to pipelined requests before the peer has read the last ones.
inline constexpr std::size_t kHttp1OutputBytes = 256 << 10;
inline constexpr std::uint32_t kGrpcReceiveBytesMax = 4u << 20;  // one request; gRPC's default
inline constexpr std::uint32_t kStreamUnsentBytes = 256u << 10;  // then send() says stop

// ---- storage

inline constexpr std::uint32_t kSnapshotTableBytesMax = 64u << 20;  // contents of a snapshot file
inline constexpr std::size_t kWalSegmentBytes = 64 << 20;        // one file of the log; as etcd's
inline constexpr std::size_t kWalFirstSegmentBytes = 256 << 10;  // zeroed at a cold start
inline constexpr std::size_t kWalSegmentBytesMax = 1 << 30;      // larger: recovery reads too long
inline constexpr std::size_t kWalGroupBytesMax = 8 << 20;        // one write; the staging buffer
inline constexpr std::size_t kWalEntryBytesMax = 32 << 20;       // one entry, alone in its group
inline constexpr std::size_t kWalSpareSegments = 2;              // kept for reuse; the rest removed
inline constexpr std::size_t kConfigurationMembersMax = 1024;    // of each role; bounds the record
static_assert(kWalEntryBytesMax <= kWalSegmentBytesMax / 2);
static_assert(kWalFirstSegmentBytes <= kWalSegmentBytes && kWalSegmentBytes <= kWalSegmentBytesMax);

inline constexpr std::size_t kStoreMemoryMin = 8u << 20;        // bytes; below it flushes thrash
inline constexpr std::size_t kStoreMemoryDefault = 128u << 20;  // bytes of caches and memtables
inline constexpr std::int64_t kRangeSliceKeys = 1000;           // keys; about 0.4 ms of a worker
inline constexpr std::size_t kRangeSliceBytes = 512u << 10;     // bytes handed out in one slice
inline constexpr std::size_t kHistorySliceBytes = 512u << 10;   // bytes of events in one slice
inline constexpr std::int64_t kHistorySliceEntries = 2000;      // log entries; about 1 ms

// ---- consensus

inline constexpr std::size_t kMemberFileBytesMax = 4096;      // the text file that names the member
inline constexpr std::uint32_t kProposalsMax = 32768;         // not yet applied; then "too many"
inline constexpr std::size_t kProposalBytesMax = 128 << 20;   // the same in bytes of payload
inline constexpr std::uint64_t kSnapshotCount = 10'000;       // entries between marks, as etcd's
inline constexpr std::uint64_t kSnapshotKeepEntries = 5'000;  // below a mark, for late followers
inline constexpr std::size_t kApplyBatchEntries = 4096;       // one StateMachine::apply() call
inline constexpr std::size_t kReplayBatchBytes = 4 << 20;     // read from the log at a time

// ---- etcd

inline constexpr std::size_t kWatchBodiesMadeMax = 64;  // different bodies kept of one group
inline constexpr std::size_t kWatchStreamBytesMax = 256 << 10;  // queued for one slow client
inline constexpr std::size_t kWatchAnswerBytesMax = 1 << 20;    // unread answers to requests
inline constexpr std::size_t kWatchMessageOverhead = 32;       // bytes a queued message counts more
inline constexpr std::size_t kWatchRecentBytesMax = 16 << 20;  // events kept for catching up
inline constexpr std::size_t kWatchRecentRevisionsMax = 100'000;  // the same, for tiny ones
inline constexpr std::size_t kWatchSliceBytes = 256 << 10;        // of history in one catch-up step
inline constexpr std::size_t kWatchSliceRevisions = 1000;  // the same, for tiny ones; as etcd's
inline constexpr std::size_t kWatchSliceWatchers = 1024;   // served in one step; about 0.5 ms
inline constexpr std::size_t kWatchSliceRangesMax = 64;    // told to history; more: all keys
inline constexpr std::size_t kWatchersPerStreamMax = 1'000'000;  // then "too many requests"
inline constexpr std::int64_t kWatchProgressMinMs = 100;  // shortest progress interval; as etcd's
inline constexpr std::int64_t kLeaseTtlMaxSeconds = 9'000'000'000;  // as etcd's
inline constexpr std::size_t kLeaseExpireBatch = 500;               // leases in one expiry proposal
inline constexpr std::int64_t kLeaseExpireIntervalMs = 500;         // between full batches: 1000/s
inline constexpr std::int64_t kLeaseExpireRetryMs = 3000;     // before an expiry is proposed again
inline constexpr std::size_t kLeaseRenewalsWaiting = 10'000;  // a stream, behind a lease that ends

inline constexpr std::size_t kApplyBatchBytes = 4 << 20;  // of committed entries in one store batch
// Of range responses that are being read or wait for their clients; more are refused.
inline constexpr std::size_t kRangeBytesInFlight = 256 << 20;
// Between attempts to read the history for watchers after an error.
inline constexpr std::int64_t kCatchUpRetryNs = 1'000'000'000;
inline constexpr std::size_t kWatchTakeBytes = 64 << 10;      // from a watch stream's queue at once
inline constexpr std::size_t kSnapshotChunkBytes = 64 << 10;  // one message of Maintenance.Snapshot
// --auto-compaction-mode=revision: how often old revisions are looked for.
inline constexpr std::int64_t kRevisionCompactionIntervalNs = 300'000'000'000;

// Of the process beyond its store's caches, for calls under way and the rest; then pools shrink.
inline constexpr std::size_t kServeMemoryBytes =
    kProposalBytesMax + kRangeBytesInFlight + (128u << 20);

inline constexpr std::int64_t kRequestTimeoutNs = 5'000'000'000;  // and two elections; as etcd's
inline constexpr std::size_t kRequestTimeoutBatch = 64;           // calls answered in one go
inline constexpr std::int64_t kHealthCheckNs = 1'000'000'000;     // for the read behind GET /health
// Of a SIGTERM, before connections are cut.
inline constexpr std::int64_t kShutdownDrainNs = 5'000'000'000;

// ---- bench

// What the load generator takes from a socket at once.
inline constexpr std::size_t kBenchReceiveBytes = 256 * 1024;
// How long it waits for the last answers, for its connections and for its watchers.
inline constexpr std::int64_t kBenchDrainNs = 5'000'000'000;
inline constexpr std::int64_t kBenchSetupNs = 60'000'000'000;
// idle: between looks at the server's memory.
inline constexpr std::int64_t kBenchSampleNs = 250'000'000;
// The longest run by number of calls.
inline constexpr std::int64_t kBenchTotalNs = 3'600'000'000'000;
// Threads, connections and calls in flight that it accepts to be asked for.
inline constexpr unsigned kBenchThreadsMax = 64;
inline constexpr unsigned kBenchConnectionsMax = 50'000;
inline constexpr unsigned kBenchClientsMax = 100'000;

}  // namespace sluice::limits
