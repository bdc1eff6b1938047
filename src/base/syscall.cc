#include "base/syscall.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace sluice::sys {
namespace {

// The result of a call that reports failure by -1, as a value.
template <class T>
T value_or_errno(T result) noexcept {
    return result == -1 ? static_cast<T>(-errno) : result;
}

// Calls again for as long as a signal interrupts.
template <class F>
auto retried(F&& call) noexcept -> decltype(call()) {
    for (;;) {
        const auto result = call();
        if (result != -1 || errno != EINTR) return value_or_errno(result);
    }
}

// For calls that, unlike send(), have no flag against the signal, which goes to the calling thread:
// so that one holds it off and takes it away.
template <class F>
ssize_t without_sigpipe(F&& call) noexcept {
    sigset_t broken_pipe;
    sigset_t before;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    const ssize_t result = retried(call);
    const timespec at_once{};
    if (result == -EPIPE) sigtimedwait(&broken_pipe, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return result;
}

}  // namespace

int open(const char* path, int flags, mode_t mode) noexcept {
    return retried([&] { return ::open(path, flags | O_CLOEXEC, mode); });
}

int close(int fd) noexcept {
    const int result = value_or_errno(::close(fd));
    return result == -EINTR ? 0 : result;
}

ssize_t read(int fd, void* to, std::size_t bytes) noexcept {
    return retried([&] { return ::read(fd, to, bytes); });
}

ssize_t write(int fd, const void* from, std::size_t bytes) noexcept {
    return retried([&] { return ::write(fd, from, bytes); });
}

ssize_t pread(int fd, void* to, std::size_t bytes, off_t offset) noexcept {
    return retried([&] { return ::pread(fd, to, bytes, offset); });
}

ssize_t pwrite(int fd, const void* from, std::size_t bytes, off_t offset) noexcept {
    return retried([&] { return ::pwrite(fd, from, bytes, offset); });
}

ssize_t preadv2(int fd, const iovec* parts, int count, off_t offset, int flags) noexcept {
    return retried([&] { return ::preadv2(fd, parts, count, offset, flags); });
}

ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) noexcept {
    return retried([&] { return ::pwritev2(fd, parts, count, offset, flags); });
}

ssize_t splice(int from, off_t* from_offset, int to, off_t* to_offset, std::size_t bytes) noexcept {
    return without_sigpipe([&] { return ::splice(from, from_offset, to, to_offset, bytes, 0); });
}

int pipe(int& reader, int& writer) noexcept {
    int ends[2] = {-1, -1};
    const int result = value_or_errno(::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    reader = ends[0];
    writer = ends[1];
    return result;
}

int set_pipe_bytes(int pipe, int bytes) noexcept {
    return value_or_errno(::fcntl(pipe, F_SETPIPE_SZ, bytes));
}

ssize_t writev(int fd, const iovec* parts, int count) noexcept {
    return retried([&] { return ::writev(fd, parts, count); });
}

int fsync(int fd) noexcept {
    return retried([&] { return ::fsync(fd); });
}

int fdatasync(int fd) noexcept {
    return retried([&] { return ::fdatasync(fd); });
}

int fallocate(int fd, int mode, off_t offset, off_t bytes) noexcept {
    return retried([&] { return ::fallocate(fd, mode, offset, bytes); });
}

int ftruncate(int fd, off_t bytes) noexcept {
    return retried([&] { return ::ftruncate(fd, bytes); });
}

int fstat(int fd, struct stat* out) noexcept {
    return value_or_errno(::fstat(fd, out));
}

int stat(const char* path, struct stat* out) noexcept {
    return value_or_errno(::stat(path, out));
}

int rename(const char* from, const char* to) noexcept {
    return value_or_errno(::rename(from, to));
}

int unlink(const char* path) noexcept {
    return value_or_errno(::unlink(path));
}

int mkdir(const char* path, mode_t mode) noexcept {
    return value_or_errno(::mkdir(path, mode));
}

int flock(int fd, int operation) noexcept {
    return retried([&] { return ::flock(fd, operation); });
}

int list(const char* path, std::vector<std::string>& names) {
    DIR* directory = ::opendir(path);
    if (directory == nullptr) return -errno;
    int result = 0;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(directory);
        if (entry == nullptr) {
            result = -errno;
            break;
        }
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        names.emplace_back(entry->d_name);
    }
    ::closedir(directory);
    return result;
}

int socket(int domain, int type, int protocol) noexcept {
    return value_or_errno(::socket(domain, type | SOCK_CLOEXEC, protocol));
}

int bind(int fd, const sockaddr* address, socklen_t bytes) noexcept {
    return value_or_errno(::bind(fd, address, bytes));
}

int listen(int fd, int backlog) noexcept {
    return value_or_errno(::listen(fd, backlog));
}

int accept4(int fd, sockaddr* address, socklen_t* bytes, int flags) noexcept {
    return retried([&] { return ::accept4(fd, address, bytes, flags | SOCK_CLOEXEC); });
}

int connect(int fd, const sockaddr* address, socklen_t bytes) noexcept {
    return value_or_errno(::connect(fd, address, bytes));
}

int shutdown(int fd, int how) noexcept {
    return value_or_errno(::shutdown(fd, how));
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t bytes) noexcept {
    return value_or_errno(::setsockopt(fd, level, name, value, bytes));
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* bytes) noexcept {
    return value_or_errno(::getsockopt(fd, level, name, value, bytes));
}

int getsockname(int fd, sockaddr* address, socklen_t* bytes) noexcept {
    return value_or_errno(::getsockname(fd, address, bytes));
}

ssize_t recv(int fd, void* to, std::size_t bytes, int flags) noexcept {
    return retried([&] { return ::recv(fd, to, bytes, flags); });
}

ssize_t send(int fd, const void* from, std::size_t bytes, int flags) noexcept {
    return retried([&] { return ::send(fd, from, bytes, flags | MSG_NOSIGNAL); });
}

ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept {
    return retried([&] { return ::recvmsg(fd, message, flags); });
}

ssize_t receive_into_pipe(int socket, int pipe, std::size_t bytes) noexcept {
    return retried([&] { return ::splice(socket, nullptr, pipe, nullptr, bytes, 0); });
}

ssize_t sendfile(int socket, int file, off_t* offset, std::size_t bytes) noexcept {
    return without_sigpipe([&] { return ::sendfile(socket, file, offset, bytes); });
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept {
    return retried([&] { return ::sendmsg(fd, message, flags | MSG_NOSIGNAL); });
}

int epoll_create() noexcept {
    return value_or_errno(::epoll_create1(EPOLL_CLOEXEC));
}

int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) noexcept {
    return value_or_errno(::epoll_ctl(epoll_fd, operation, fd, event));
}

int epoll_wait(int epoll_fd, epoll_event* events, int count, std::int64_t timeout_ns) noexcept {
    if (timeout_ns <= 0) {
        return value_or_errno(::epoll_wait(epoll_fd, events, count, timeout_ns == 0 ? 0 : -1));
    }
    const timespec timeout{.tv_sec = timeout_ns / 1'000'000'000,
                           .tv_nsec = timeout_ns % 1'000'000'000};
    const int result = value_or_errno(::epoll_pwait2(epoll_fd, events, count, &timeout, nullptr));
    if (result != -ENOSYS) return result;
    // Before Linux 5.11: milliseconds, rounded up so that a wait never ends early.
    const std::int64_t wait_ms = (timeout_ns + 999'999) / 1'000'000;
    const int bounded_ms = wait_ms > INT_MAX ? INT_MAX : static_cast<int>(wait_ms);
    return value_or_errno(::epoll_wait(epoll_fd, events, count, bounded_ms));
}

int poll(pollfd* fds, unsigned count, int timeout_ms) noexcept {
    return value_or_errno(::poll(fds, count, timeout_ms));
}

int eventfd(unsigned initial, int flags) noexcept {
    return value_or_errno(::eventfd(initial, flags | EFD_CLOEXEC));
}

int sched_getattr(SchedAttributes& out) noexcept {
    return static_cast<int>(value_or_errno(::syscall(SYS_sched_getattr, 0, &out, sizeof out, 0)));
}

int sched_setattr(const SchedAttributes& attributes) noexcept {
    return static_cast<int>(value_or_errno(::syscall(SYS_sched_setattr, 0, &attributes, 0)));
}

// On Linux the target 0 is the calling thread, not its process.
int nice(int increment) noexcept {
    errno = 0;
    const int before = ::getpriority(PRIO_PROCESS, 0);  // may be -1
    if (before == -1 && errno != 0) return -errno;
    return value_or_errno(::setpriority(PRIO_PROCESS, 0, before + increment));
}

int sem_wait_for(sem_t& semaphore, std::int64_t timeout_ns) noexcept {
    timespec until{};
    ::clock_gettime(CLOCK_MONOTONIC, &until);
    const std::int64_t nsec = until.tv_nsec + timeout_ns;
    until.tv_sec += nsec / 1'000'000'000;
    until.tv_nsec = nsec % 1'000'000'000;
    return retried([&] { return ::sem_clockwait(&semaphore, CLOCK_MONOTONIC, &until); });
}

int sched_setaffinity(const cpu_set_t& cpus) noexcept {
    return static_cast<int>(value_or_errno(::sched_setaffinity(0, sizeof cpus, &cpus)));
}

int mlockall(int flags) noexcept {
    return static_cast<int>(value_or_errno(::mlockall(flags)));
}

}  // namespace sluice::sys
