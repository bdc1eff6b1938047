// The lines of bench/vs/README.md on our runtime.
#include <functional>
#include <map>

#include "base/check.h"
#include "io/poller_factory.h"
#include "lines.h"
#include "rt/runtime.h"

int main(int argc, char** argv) {
    const vs::Options options = vs::parse(argc, argv);
    const std::map<std::string, std::function<void()>> lines = {
        {"yield-2", [&] { vs::run_yield(options, 2); }},
        {"yield-1000", [&] { vs::run_yield(options, 1'000); }},
        {"spawn", [&] { vs::run_spawn(options, 1); }},
        {"spawn-100", [&] { vs::run_spawn(options, 100); }},
        {"parked", [&] { vs::run_parked(options); }},
        {"unbuffered", [&] { vs::run_unbuffered(options); }},
        {"buffered", [&] { vs::run_buffered(options); }},
        {"select", [&] { vs::run_select(options); }},
        {"mutex", [&] { vs::run_mutex(options); }},
        {"mutex-contended", [&] { vs::run_mutex_contended(options); }},
        {"timer", [&] { vs::run_timer(options); }},
        {"context", [&] { vs::run_context(options); }},
        {"pool", [&] { vs::run_pool(options); }},
        {"echo", [&] { vs::run_echo(options); }},
        {"echo-callback", [&] { vs::run_echo_callback(options); }},
    };
    if (options.line == "switch") {
        vs::run_switch(options);
        return 0;
    }
    const auto line = lines.find(options.line);
    if (line == lines.end()) return vs::kUnknownLine;
    auto poller = sluice::io::make_poller_factory("auto");
    SLUICE_CHECK(poller.has_value());
    sluice::rt::Runtime runtime({.workers = options.workers, .make_poller = *poller});
    runtime.run(line->second);
}
