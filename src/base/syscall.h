// System calls that return -errno instead of setting it.
//
// errno is per thread and compilers cache its address, which is wrong after a fiber has moved to
// another thread (STYLE rule 8). So errno is read in syscall.cc only, before anything can suspend.
// Every function returns what the call of the same name returns, or a negative errno:
//
//   const int fd = sys::open(path, O_RDONLY, 0);
//   if (fd < 0) return fail(Error::from_errno(fd, "open"));
//
// They never suspend a fiber. Those on files may block the calling thread for as long as the disk
// takes; those on sockets block only if the socket is a blocking one. EINTR is retried, except in
// close() and in the calls that wait. Safe on any thread.
#pragma once

#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

namespace sluice::sys {

// Files.
int open(const char* path, int flags, mode_t mode) noexcept;  // O_CLOEXEC is added
int close(int fd) noexcept;                                   // EINTR counts as closed: returns 0
ssize_t read(int fd, void* to, std::size_t bytes) noexcept;
ssize_t write(int fd, const void* from, std::size_t bytes) noexcept;
ssize_t pread(int fd, void* to, std::size_t bytes, off_t offset) noexcept;
ssize_t pwrite(int fd, const void* from, std::size_t bytes, off_t offset) noexcept;
// The offset -1 stands for the descriptor's own position.
ssize_t preadv2(int fd, const iovec* parts, int count, off_t offset, int flags) noexcept;
ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) noexcept;
// An offset that is nullptr stands for the descriptor's own position. No SIGPIPE.
ssize_t splice(int from, off_t* from_offset, int to, off_t* to_offset, std::size_t bytes) noexcept;
// Both ends non-blocking.
int pipe(int& reader, int& writer) noexcept;
// What the pipe may hold, which the kernel rounds up. -EPERM: the user has too much in pipes.
int set_pipe_bytes(int pipe, int bytes) noexcept;
ssize_t writev(int fd, const iovec* parts, int count) noexcept;
int fsync(int fd) noexcept;
int fdatasync(int fd) noexcept;
int fallocate(int fd, int mode, off_t offset, off_t bytes) noexcept;
int ftruncate(int fd, off_t bytes) noexcept;
int fstat(int fd, struct stat* out) noexcept;
int stat(const char* path, struct stat* out) noexcept;
int rename(const char* from, const char* to) noexcept;
int unlink(const char* path) noexcept;
int mkdir(const char* path, mode_t mode) noexcept;
int flock(int fd, int operation) noexcept;
// Appends the names in the directory, without "." and "..", in no order.
int list(const char* path, std::vector<std::string>& names);

// Sockets.
int socket(int domain, int type, int protocol) noexcept;
int bind(int fd, const sockaddr* address, socklen_t bytes) noexcept;
int listen(int fd, int backlog) noexcept;
int accept4(int fd, sockaddr* address, socklen_t* bytes, int flags) noexcept;
int connect(int fd, const sockaddr* address, socklen_t bytes) noexcept;  // not retried on EINTR
int shutdown(int fd, int how) noexcept;
int setsockopt(int fd, int level, int name, const void* value, socklen_t bytes) noexcept;
int getsockopt(int fd, int level, int name, void* value, socklen_t* bytes) noexcept;
int getsockname(int fd, sockaddr* address, socklen_t* bytes) noexcept;
ssize_t recv(int fd, void* to, std::size_t bytes, int flags) noexcept;
ssize_t send(int fd, const void* from, std::size_t bytes, int flags) noexcept;
ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept;
ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept;
// splice() from a non-blocking socket into a pipe, which costs less: nothing can raise SIGPIPE.
ssize_t receive_into_pipe(int socket, int pipe, std::size_t bytes) noexcept;
// From a file; advances *offset. Blocks on the file, not on a non-blocking socket. No SIGPIPE.
ssize_t sendfile(int socket, int file, off_t* offset, std::size_t bytes) noexcept;

// Waiting. epoll_wait takes its timeout in nanoseconds; a negative one waits for ever.
int epoll_create() noexcept;
int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) noexcept;
int epoll_wait(int epoll_fd, epoll_event* events, int count, std::int64_t timeout_ns) noexcept;
int poll(pollfd* fds, unsigned count, int timeout_ms) noexcept;
int eventfd(unsigned initial, int flags) noexcept;

// Scheduling of the calling thread: the kernel's struct sched_attr as of Linux 3.14, which the C
// library does not declare.
struct SchedAttributes {
    std::uint32_t size = 48;
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 0;  // SCHED_OTHER: the slice, from Linux 6.12 on
    std::uint64_t deadline_ns = 0;
    std::uint64_t period_ns = 0;
};
static_assert(sizeof(SchedAttributes) == 48);
int sched_getattr(SchedAttributes& out) noexcept;
int sched_setattr(const SchedAttributes& attributes) noexcept;
// nice(2), for the calling thread alone.
int nice(int increment) noexcept;

// sem_clockwait(3) by the monotonic clock: -ETIMEDOUT when no permit came in `timeout_ns`.
int sem_wait_for(sem_t& semaphore, std::int64_t timeout_ns) noexcept;
int sched_setaffinity(const cpu_set_t& cpus) noexcept;

// The whole process. Sanitizers make it do nothing.
int mlockall(int flags) noexcept;

}  // namespace sluice::sys
