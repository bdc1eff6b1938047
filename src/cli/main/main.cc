// The one entry point of the one binary.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "bench/command.h"
#include "cli/serve.h"
#include "cli/serve_options.h"
#include "etcd/server/services.h"

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// "sluice serve" if the command line names a command, else "sluice".
std::string named_command(const CLI::App& app, int argc, char** argv) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        if (argc > 1 && command->get_name() == argv[1]) return "sluice " + command->get_name();
    }
    return "sluice";
}

// What is wrong with the command line, in one line, and where to read more.
int usage_error(const std::string& command, const std::string& message) {
    std::fprintf(stderr, "%s: %s (see %s --help)\n", command.c_str(), message.c_str(),
                 command.c_str());
    return kExitUsage;
}

int run(int argc, char** argv) {
    using namespace sluice;
    CLI::App app("Sluice: a storage server that can always say where a request's time went.",
                 "sluice");
    app.set_version_flag("--version", "sluice " SLUICE_VERSION "\netcd API version: " +
                                          std::string(etcd::kEtcdVersion));
    app.require_subcommand(1);
    cli::ServeOptions serve_options;
    CLI::App* const serve =
        app.add_subcommand("serve", "Serve the etcd v3 API from a data directory.");
    cli::add_serve_flags(*serve, serve_options);
    bench::Command bench(app);

    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& done) {
        return app.exit(done);  // --help, --version
    } catch (const CLI::ParseError& error) {
        const std::string command = named_command(app, argc, argv);
        if (command == "sluice" && argc > 1 && argv[1][0] != '-') {
            return usage_error(command, std::string("there is no command ") + argv[1]);
        }
        return usage_error(command, error.what());
    }
    if (bench.chosen()) return bench.run(std::cout, std::cerr);
    if (serve->parsed()) {
        const Status checked = cli::check_serve_options(serve_options);
        if (!checked) return usage_error("sluice serve", checked.error().message());
        return cli::serve(serve_options);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {  // out of memory, or a library's own
        std::fprintf(stderr, "sluice: %s\n", error.what());
        return kExitFailure;
    }
}
