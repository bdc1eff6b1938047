// Every flag of `sluice serve`: its environment variable, its default, its place in the options.
#include "cli/serve_options.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <functional>
#include <set>

namespace sluice::cli {
namespace {

using Has = std::function<bool(const ServeOptions&)>;

// A flag, what it says its default is, a value other than that, and where the value must arrive.
struct Row {
    std::string flag;
    std::string shown;
    std::string value;
    Has arrived;
};

template <class T>
Has field(T ServeOptions::* member, const std::type_identity_t<T>& expected) {
    return [=](const ServeOptions& options) { return options.*member == expected; };
}

const std::vector<Row>& rows() {
    using O = ServeOptions;
    static const std::vector<Row> table = {
        {"name", "default", "m1", field(&O::name, "m1")},
        {"data-dir", "", "/d", field(&O::data_dir, "/d")},
        {"wal-dir", "", "/w", field(&O::wal_dir, "/w")},
        {"snapshot-count", "10000", "7", field(&O::snapshot_count, 7)},
        {"listen-client-urls", "http://localhost:2379", "http://h:1",
         field(&O::listen_client_urls, "http://h:1")},
        {"quota-backend-bytes", "0", "-1", field(&O::quota_backend_bytes, -1)},
        {"max-txn-ops", "128", "9", field(&O::max_txn_ops, 9)},
        {"max-request-bytes", "1572864", "10", field(&O::max_request_bytes, 10)},
        {"max-concurrent-streams", "4294967295", "11", field(&O::max_concurrent_streams, 11)},
        {"grpc-keepalive-min-time", "5s", "1m",
         field(&O::grpc_keepalive_min_time_ns, 60 * kSecond)},
        {"grpc-keepalive-interval", "2h0m0s", "1s", field(&O::grpc_keepalive_interval_ns, kSecond)},
        {"grpc-keepalive-timeout", "20s", "2s", field(&O::grpc_keepalive_timeout_ns, 2 * kSecond)},
        {"heartbeat-interval", "100", "50", field(&O::heartbeat_interval_ms, 50)},
        {"election-timeout", "1000", "500", field(&O::election_timeout_ms, 500)},
        {"watch-progress-notify-interval", "10m0s", "3s",
         field(&O::watch_progress_notify_interval_ns, 3 * kSecond)},
        {"advertise-client-urls", "http://localhost:2379", "http://h:2",
         field(&O::advertise_client_urls, "http://h:2")},
        {"listen-peer-urls", "http://localhost:2380", "http://h:3",
         field(&O::listen_peer_urls, "http://h:3")},
        {"initial-advertise-peer-urls", "http://localhost:2380", "http://h:4",
         field(&O::initial_advertise_peer_urls, "http://h:4")},
        {"initial-cluster", "", "a=http://h:5", field(&O::initial_cluster, "a=http://h:5")},
        {"initial-cluster-state", "new", "existing", field(&O::initial_cluster_state, "existing")},
        {"initial-cluster-token", "etcd-cluster", "t", field(&O::initial_cluster_token, "t")},
        {"auto-compaction-mode", "periodic", "revision",
         field(&O::auto_compaction_mode, "revision")},
        {"auto-compaction-retention", "0", "12", field(&O::auto_compaction_retention, "12")},
        {"log-level", "info", "debug", field(&O::log_level, "debug")},
        {"log-format", "json", "console", field(&O::log_format, "console")},
        {"log-outputs", "default", "stdout", field(&O::log_outputs, "stdout")},
        {"enable-pprof", "", "true", field(&O::enable_pprof, true)},
        {"workers", "0", "3", field(&O::workers, 3)},
        {"workers-min", "0", "2", field(&O::workers_min, 2)},
        {"cpu-list", "", "0-1,4", field(&O::cpu_list, "0-1,4")},
        {"pin-workers", "none", "node", field(&O::pin_workers, "node")},
        {"lock-memory", "", "true", field(&O::lock_memory, true)},
        {"poller", "auto", "epoll", field(&O::poller, "epoll")},
        {"memory-limit", "128MiB", "64MiB", field(&O::memory_limit_bytes, 64ull << 20)},
        {"unsafe-no-fsync", "", "true", field(&O::unsafe_no_fsync, true)},
    };
    return table;
}

std::string variable(std::string flag) {
    std::ranges::transform(flag, flag.begin(), [](char c) {
        return c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    });
    return "ETCD_" + flag;
}

// Sets an environment variable for its lifetime.
class Environment {
  public:
    Environment(std::string name, const std::string& value) : name_(std::move(name)) {
        ::setenv(name_.c_str(), value.c_str(), 1);
    }
    ~Environment() { ::unsetenv(name_.c_str()); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    std::string name_;
};

ServeOptions parsed(const std::string& arguments) {
    CLI::App app;
    ServeOptions options;
    add_serve_flags(app, options);
    app.parse(arguments);
    return options;
}

TEST(ServeFlags, TheTableHasThemAll) {
    CLI::App app;
    ServeOptions options;
    add_serve_flags(app, options);
    std::set<std::string> in_table;
    for (const Row& row : rows()) in_table.insert("--" + row.flag);
    std::set<std::string> in_program;
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_name() != "--help") in_program.insert(option->get_name());
    }
    EXPECT_EQ(in_program, in_table);
}

TEST(ServeFlags, HelpSaysWhatEachIsAndItsDefault) {
    CLI::App app;
    ServeOptions options;
    add_serve_flags(app, options);
    const std::string help = app.help();
    EXPECT_NE(help.find("DURATION: "), help.npos) << "units are explained";
    for (const Row& row : rows()) {
        const CLI::Option* const option = app.get_option("--" + row.flag);
        EXPECT_GE(option->get_description().size(), 15u) << row.flag;
        EXPECT_EQ(option->get_default_str(), row.shown) << row.flag;
        EXPECT_EQ(option->get_envname(), variable(row.flag));
        EXPECT_NE(help.find("--" + row.flag + " "), help.npos) << row.flag;
        EXPECT_NE(help.find(variable(row.flag)), help.npos) << row.flag;
    }
}

TEST(ServeFlags, ValuesComeFromTheCommandLine) {
    for (const Row& row : rows()) {
        EXPECT_FALSE(row.arrived(parsed(""))) << row.flag;
        EXPECT_TRUE(row.arrived(parsed("--" + row.flag + "=" + row.value))) << row.flag;
    }
}

TEST(ServeFlags, ValuesComeFromTheEnvironment) {
    for (const Row& row : rows()) {
        const Environment set(variable(row.flag), row.value);
        EXPECT_TRUE(row.arrived(parsed(""))) << row.flag;
    }
    EXPECT_EQ(parsed("").name, "default") << "the variables are gone again";
}

TEST(ServeFlags, TheCommandLineWins) {
    const Environment name("ETCD_NAME", "from-environment");
    const Environment interval("ETCD_GRPC_KEEPALIVE_INTERVAL", "5s");
    const ServeOptions options = parsed("--name from-flag --grpc-keepalive-interval 6s");
    EXPECT_EQ(options.name, "from-flag");
    EXPECT_EQ(options.grpc_keepalive_interval_ns, 6 * kSecond);
}

// What is refused, and what the message names.
TEST(ServeFlags, WrongOnesAreNamed) {
    const std::pair<std::string, std::string> wrong[] = {
        {"--no-such-flag", "--no-such-flag"},
        {"--max-txn-ops many", "--max-txn-ops"},
        {"--max-txn-ops -1", "--max-txn-ops"},
        {"--snapshot-count", "--snapshot-count"},
        {"--log-level loud", "--log-level"},
        {"--poller kqueue", "--poller"},
        {"--grpc-keepalive-timeout 20", "--grpc-keepalive-timeout"},
        {"--memory-limit 1XB", "--memory-limit"},
        {"stray", "stray"},
        {"--name=", "--name"},
    };
    for (const auto& [arguments, named] : wrong) {
        std::string message;
        try {
            parsed(arguments);
        } catch (const CLI::ParseError& error) {
            message = error.what();
        }
        EXPECT_NE(message.find(named), message.npos) << arguments << ": " << message;
        EXPECT_EQ(message.find('\n'), message.npos) << message;
    }
}

TEST(ServeOptions, ContradictionsNameTheFlag) {
    const auto message = [](const std::string& arguments) {
        const Status checked = check_serve_options(parsed(arguments));
        return checked ? std::string() : checked.error().message();
    };
    EXPECT_EQ(message(""), "");
    const std::pair<std::string, std::string> wrong[] = {
        {"--listen-client-urls https://localhost:1", "--listen-client-urls"},
        {"--listen-client-urls localhost:1", "--listen-client-urls"},
        {"--advertise-client-urls http://localhost", "--advertise-client-urls"},
        {"--initial-cluster a=http://h:1,b=http://h:2", "--initial-cluster"},
        {"--initial-cluster other=http://h:1", "--initial-cluster"},
        {"--max-txn-ops 0", "--max-txn-ops"},
        {"--cpu-list 3-1", "--cpu-list"},
        {"--workers 2 --workers-min 3", "--workers-min"},
        {"--max-request-bytes 0", "--max-request-bytes"},
        {"--heartbeat-interval 0", "--heartbeat-interval"},
        {"--heartbeat-interval 300", "--election-timeout"},
    };
    for (const auto& [arguments, named] : wrong) {
        EXPECT_EQ(message(arguments).find(named), 0u) << arguments << ": " << message(arguments);
    }
}

TEST(ServeOptions, TheInitialClusterIsThisMemberAsItAdvertisesItself) {
    const auto message = [](const std::string& arguments) {
        const Status checked = check_serve_options(parsed(arguments));
        return checked ? std::string() : checked.error().message();
    };
    EXPECT_EQ(message("--initial-cluster default=http://localhost:2380"), "");
    EXPECT_EQ(message("--initial-advertise-peer-urls http://a:1,http://b:2 "
                      "--initial-cluster default=http://b:2,default=http://a:1"),
              "");
    EXPECT_EQ(message("--initial-cluster default=http://a:1"),
              "--initial-cluster has default=http://a:1 but --initial-advertise-peer-urls has "
              "http://localhost:2380");
    EXPECT_EQ(message("--initial-cluster default"),
              "--initial-cluster: \"default\": want NAME=URL");
}

TEST(ServeFlags, ARepeatedOneCountsAsItCameLast) {
    EXPECT_EQ(parsed("--name a --name b").name, "b");
    EXPECT_EQ(parsed("--memory-limit 1GiB --memory-limit 64MiB").memory_limit_bytes, 64u << 20);
}

TEST(ServeOptions, AListIsCutAtItsCommas) {
    EXPECT_EQ(split_list("a,b"), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(split_list("a,"), (std::vector<std::string>{"a", ""}));
    EXPECT_EQ(split_list(""), std::vector<std::string>{""});
}

}  // namespace
}  // namespace sluice::cli
