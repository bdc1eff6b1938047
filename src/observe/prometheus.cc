#include "observe/prometheus.h"

#include <fmt/format.h>

#include <cmath>

#include "base/check.h"

namespace sluice::observe {
namespace {

using metrics::HistogramSnapshot;
using metrics::Labels;
using metrics::Type;

std::string_view type_name(Type type) {
    switch (type) {
        case Type::kCounter:
            return "counter";
        case Type::kGauge:
            return "gauge";
        case Type::kHistogram:
            return "histogram";
    }
    return "untyped";
}

class TextWriter final : public metrics::Visitor {
  public:
    void family(std::string_view name, std::string_view help, Type type) override {
        SLUICE_ASSERT(!name.empty());
        name_ = name;
        append("# HELP ");
        append(name);
        append(" ");
        escaped(help, false);
        append("\n# TYPE ");
        append(name);
        append(" ");
        append(type_name(type));
        append("\n");
    }

    void value(const Labels& labels, double value) override { sample("", labels, {}, value); }

    void histogram(const Labels& labels, const HistogramSnapshot& snapshot) override {
        SLUICE_ASSERT(snapshot.counts.size() == snapshot.bounds.size() + 1);
        std::uint64_t up_to = 0;
        for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
            up_to += snapshot.counts[i];
            const bool last = i == snapshot.bounds.size();
            sample("_bucket", labels, last ? "+Inf" : number(snapshot.bounds[i]),
                   static_cast<double>(up_to));
        }
        sample("_sum", labels, {}, snapshot.sum);
        sample("_count", labels, {}, static_cast<double>(up_to));
    }

    std::string take() { return fmt::to_string(out_); }

  private:
    void append(std::string_view text) { out_.append(text.data(), text.data() + text.size()); }

    void escaped(std::string_view text, bool quotes) {
        for (const char c : text) {
            if (c == '\\') {
                append("\\\\");
            } else if (c == '\n') {
                append("\\n");
            } else if (c == '"' && quotes) {
                append("\\\"");
            } else {
                out_.push_back(c);
            }
        }
    }

    static std::string number(double value) {
        if (std::isnan(value)) return "NaN";
        if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
        return fmt::format("{}", value);
    }

    void label(std::string_view name, std::string_view value, bool first) {
        append(first ? "{" : ",");
        append(name);
        append("=\"");
        escaped(value, true);
        append("\"");
    }

    // name_suffix{labels,le="bound"} value
    void sample(std::string_view suffix, const Labels& labels, std::string_view le, double value) {
        append(name_);
        append(suffix);
        bool first = true;
        for (const auto& [name, text] : labels) {
            label(name, text, first);
            first = false;
        }
        if (!le.empty()) {
            label("le", le, first);
            first = false;
        }
        append(first ? " " : "} ");
        append(number(value));
        append("\n");
    }

    fmt::memory_buffer out_;
    std::string name_;
};

}  // namespace

std::string prometheus_text(const metrics::Registry& registry) {
    TextWriter writer;
    registry.collect(writer);
    return writer.take();
}

}  // namespace sluice::observe
