// `sluice bench`: the command line of the load generator.
//
//   CLI::App app;
//   bench::Command bench(app);         // adds the subcommand
//   app.parse(argc, argv);
//   if (bench.chosen()) return bench.run(std::cout, std::cerr);
#pragma once

#include <iosfwd>
#include <string>

#include "bench/options.h"

namespace CLI {
class App;
}

namespace sluice::bench {

class Command {
  public:
    explicit Command(CLI::App& parent);

    bool chosen() const;
    // 0: done, no call failed. 1: calls failed, or the run did. 2: the options make no sense.
    int run(std::ostream& out, std::ostream& err);

  private:
    int run_idle(std::ostream& out, std::ostream& err);

    CLI::App* command_;
    Options options_;
    std::string workload_ = "put";
    std::string key_order_ = "uniform";
    double duration_s_ = 10, warmup_s_ = 1, timeout_s_ = 0;
};

}  // namespace sluice::bench
