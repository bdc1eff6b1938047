#include "cli/dump_signal.h"

#include <pthread.h>

#include <csignal>
#include <cstdio>

#include "rt/runtime.h"

namespace sluice::cli {

DumpOnSignal::DumpOnSignal(rt::Runtime& runtime)
    : runtime_(runtime), thread_([this] { wait_for_signals(); }) {}

DumpOnSignal::~DumpOnSignal() {
    ends_ = true;
    pthread_kill(thread_.native_handle(), SIGQUIT);
    thread_.join();
}

void DumpOnSignal::wait_for_signals() {
    pthread_setname_np(pthread_self(), "dump");
    sigset_t quit;
    sigemptyset(&quit);
    sigaddset(&quit, SIGQUIT);
    for (int signal = 0;;) {
        if (sigwait(&quit, &signal) != 0 || ends_) return;
        const std::string text = "SIGQUIT: all fibers\n" + runtime_.dump();
        std::fwrite(text.data(), 1, text.size(), stderr);
        std::fflush(stderr);
    }
}

}  // namespace sluice::cli
