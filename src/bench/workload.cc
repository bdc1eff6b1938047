#include "bench/workload.h"

#include <fmt/format.h>

#include <cstring>

#include "base/check.h"
#include "bench/key_chooser.h"
#include "bench/protobuf_wire.h"

namespace sluice::bench {
namespace {

// Field numbers of etcd's rpc.proto; ResponseHeader is field 1 of every response, its revision 3.
std::uint64_t header_revision(std::string_view header) {
    for (Reader reader(header); reader.next();)
        if (reader.field() == 3) return reader.number();
    return 0;
}

struct Entry {
    std::uint64_t mod_revision = 0;
    std::size_t value_bytes = 0;
};

Entry read_entry(std::string_view key_value) {
    Entry entry;
    for (Reader reader(key_value); reader.next();) {
        if (reader.field() == 3) entry.mod_revision = reader.number();
        if (reader.field() == 5) entry.value_bytes = reader.bytes().size();
    }
    return entry;
}

class PutWorkload : public Workload {
  public:
    // next_key: a counter that replaces the chooser; may be null.
    PutWorkload(const Options& options, KeyChooser chooser,
                std::atomic<std::uint64_t>* next_key = nullptr)
        : options_(options), chooser_(chooser), next_key_(next_key) {
        // Random bytes: a store that compresses gets nothing for free.
        while (value_.size() < options.value_bytes)
            value_.push_back(static_cast<char>(chooser_.random().next()));
    }

    void build(std::string& out) override {
        key_.clear();
        append_key(key_, options_,
                   next_key_ == nullptr ? chooser_.next()
                                        : next_key_->fetch_add(1, std::memory_order_relaxed));
        next_value();
        Writer writer(out);
        writer.bytes(1, key_);
        writer.bytes(2, value_);
    }

    std::string check(std::string_view response) override {
        Reader reader(response);
        std::uint64_t revision = 0;
        while (reader.next())
            if (reader.field() == 1) revision = header_revision(reader.bytes());
        if (!reader.ok()) return "the response is not a PutResponse";
        if (revision <= revision_) return "the revision did not grow";
        revision_ = revision;
        return {};
    }

  private:
    void next_value() {
        const std::uint64_t fresh = chooser_.random().next();
        std::memcpy(value_.data(), &fresh, std::min(sizeof fresh, value_.size()));
    }

    const Options& options_;
    KeyChooser chooser_;
    std::atomic<std::uint64_t>* const next_key_;
    std::string key_, value_;
    std::uint64_t revision_ = 0;
};

class RangeWorkload : public Workload {
  public:
    RangeWorkload(const Options& options, std::uint64_t keys_each, KeyChooser chooser)
        : options_(options), keys_each_(keys_each), chooser_(chooser) {}

    void build(std::string& out) override {
        const std::uint64_t first = chooser_.next();
        Writer writer(out);
        key_.clear();
        append_key(key_, options_, first);
        writer.bytes(1, key_);
        if (keys_each_ > 1) {
            key_.clear();
            append_key(key_, options_, first + keys_each_);
            writer.bytes(2, key_);
        }
        writer.number(7, options_.serializable ? 1 : 0);
    }

    std::string check(std::string_view response) override {
        std::uint64_t entries = 0, count = 0;
        Reader reader(response);
        while (reader.next()) {
            if (reader.field() == 4) count = reader.number();
            if (reader.field() != 2) continue;
            ++entries;
            if (read_entry(reader.bytes()).value_bytes != options_.value_bytes)
                return "a value has not the size that was put";
        }
        if (!reader.ok()) return "the response is not a RangeResponse";
        if (entries != keys_each_ || count != keys_each_)
            return fmt::format("{} keys, count {}, instead of {}", entries, count, keys_each_);
        return {};
    }

  private:
    const Options& options_;
    const std::uint64_t keys_each_;
    KeyChooser chooser_;
    std::string key_;
};

// If nobody has touched my key since I last wrote it, write it again; nobody has, so it succeeds.
class TxnWorkload : public Workload {
  public:
    TxnWorkload(const Options& options, unsigned client) : random_(options.seed * 977 + client) {
        // A key that no earlier run has left behind: it starts at revision 0, "does not exist".
        key_ = fmt::format("{}txn/{:x}/{}", options.key_prefix, options.run_id, client);
        value_.assign(options.value_bytes, 'v');
    }

    void build(std::string& out) override {
        const std::uint64_t fresh = random_.next();
        std::memcpy(value_.data(), &fresh, std::min(sizeof fresh, value_.size()));
        Writer writer(out);
        part_.clear();
        Writer compare(part_);
        compare.number(2, 2);  // target MOD; result EQUAL is 0
        compare.bytes(3, key_);
        compare.number_always(6, revision_);
        writer.bytes(1, part_);
        put_.clear();
        Writer put(put_);
        put.bytes(1, key_);
        put.bytes(2, value_);
        part_.clear();
        Writer(part_).bytes(2, put_);
        writer.bytes(2, part_);
    }

    std::string check(std::string_view response) override {
        Reader reader(response);
        std::uint64_t revision = 0;
        bool succeeded = false;
        while (reader.next()) {
            if (reader.field() == 1) revision = header_revision(reader.bytes());
            if (reader.field() == 2) succeeded = reader.number() != 0;
        }
        if (!reader.ok()) return "the response is not a TxnResponse";
        if (!succeeded) return "the comparison failed on a key that only this client writes";
        if (revision <= revision_) return "the revision did not grow";
        revision_ = revision;
        return {};
    }

  private:
    Random random_;
    std::string key_, value_, part_, put_;
    std::uint64_t revision_ = 0;
};

class EmptyWorkload : public Workload {
  public:
    void build(std::string&) override {}
    std::string check(std::string_view response) override {
        Reader reader(response);
        while (reader.next()) {
        }
        return reader.ok() ? "" : "the response is not a protobuf message";
    }
};

}  // namespace

std::string_view method_of(const Options& options) noexcept {
    switch (options.workload) {
        case WorkloadKind::kPut:
        case WorkloadKind::kWatch:
            return "/etcdserverpb.KV/Put";
        case WorkloadKind::kGet:
        case WorkloadKind::kRange:
            return "/etcdserverpb.KV/Range";
        case WorkloadKind::kTxn:
            return "/etcdserverpb.KV/Txn";
        case WorkloadKind::kEmpty:
            return options.method;
    }
    return {};
}

std::unique_ptr<Workload> make_workload(const Options& options, unsigned client) {
    const auto chooser = [&](std::uint64_t keys) {
        return KeyChooser(options.key_order, keys, options.seed * 7919 + client, client,
                          options.clients);
    };
    switch (options.workload) {
        case WorkloadKind::kPut:
            return std::make_unique<PutWorkload>(options, chooser(options.keys));
        case WorkloadKind::kGet:
            return std::make_unique<RangeWorkload>(options, 1, chooser(options.keys));
        case WorkloadKind::kRange:
            SLUICE_CHECK(options.range_keys > 0 && options.range_keys <= options.keys);
            return std::make_unique<RangeWorkload>(options, options.range_keys,
                                                   chooser(options.keys - options.range_keys + 1));
        case WorkloadKind::kTxn:
            return std::make_unique<TxnWorkload>(options, client);
        case WorkloadKind::kEmpty:
            return std::make_unique<EmptyWorkload>();
        case WorkloadKind::kWatch:
            break;
    }
    SLUICE_CHECK(!"kWatch has its own workload");
    return nullptr;
}

std::unique_ptr<Workload> make_prefill(const Options& options, unsigned client,
                                       std::atomic<std::uint64_t>& next_key) {
    const KeyChooser values(KeyOrder::kSequential, options.keys, options.seed + client);
    return std::make_unique<PutWorkload>(options, values, &next_key);
}

}  // namespace sluice::bench
