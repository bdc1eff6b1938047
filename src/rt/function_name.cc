#include "rt/function_name.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/limits.h"

namespace sluice::rt {
namespace {

struct OperatorName {
    std::string_view code;
    std::string_view text;
};
constexpr OperatorName kOperators[] = {
    {"nw", " new"}, {"na", " new[]"}, {"dl", " delete"}, {"da", " delete[]"}, {"aw", " co_await"},
    {"ps", "+"},    {"ng", "-"},      {"ad", "&"},       {"de", "*"},         {"co", "~"},
    {"pl", "+"},    {"mi", "-"},      {"ml", "*"},       {"dv", "/"},         {"rm", "%"},
    {"an", "&"},    {"or", "|"},      {"eo", "^"},       {"aS", "="},         {"pL", "+="},
    {"mI", "-="},   {"mL", "*="},     {"dV", "/="},      {"rM", "%="},        {"aN", "&="},
    {"oR", "|="},   {"eO", "^="},     {"ls", "<<"},      {"rs", ">>"},        {"lS", "<<="},
    {"rS", ">>="},  {"eq", "=="},     {"ne", "!="},      {"lt", "<"},         {"gt", ">"},
    {"le", "<="},   {"ge", ">="},     {"ss", "<=>"},     {"nt", "!"},         {"aa", "&&"},
    {"oo", "||"},   {"pp", "++"},     {"mm", "--"},      {"cm", ","},         {"pm", "->*"},
    {"pt", "->"},   {"cl", "()"},     {"ix", "[]"},
};

// Reads a mangled name from left to right, each function one production of the grammar. Writes what
// belongs to the function's own name and passes over the rest: parameters, template arguments and
// what lies in them. Any false is final.
//
// A substitution (S0_) stands for something that came before. A function's own name comes first, so
// it has none, and what they stand for need not be kept.
class Reader {
  public:
    Reader(std::string_view text, std::span<char> to) noexcept : text_(text), to_(to) {}

    bool encoding_name() noexcept { return take("_Z") && name(); }
    std::size_t written() const noexcept { return written_; }

  private:
    // What is read while one of these lives is not written.
    class Quiet {
      public:
        explicit Quiet(Reader& reader) noexcept : reader_(reader) { ++reader_.quiet_; }
        ~Quiet() { --reader_.quiet_; }
        Quiet(const Quiet&) = delete;
        Quiet& operator=(const Quiet&) = delete;

      private:
        Reader& reader_;
    };
    // Bounds the recursion: names nest, signal stacks end.
    class Level {
      public:
        explicit Level(Reader& reader) noexcept : reader_(reader) { ++reader_.depth_; }
        ~Level() { --reader_.depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;
        bool too_deep() const noexcept { return reader_.depth_ > limits::kMangledDepthMax; }

      private:
        Reader& reader_;
    };

    char peek() const noexcept { return text_.empty() ? '\0' : text_.front(); }
    bool peek_digit() const noexcept { return peek() >= '0' && peek() <= '9'; }
    bool take(std::string_view expected) noexcept {
        if (!text_.starts_with(expected)) return false;
        text_.remove_prefix(expected.size());
        return true;
    }
    bool take_one_of(std::string_view letters) noexcept {
        if (peek() == '\0' || !letters.contains(peek())) return false;
        text_.remove_prefix(1);
        return true;
    }
    void write(std::string_view text) noexcept {
        if (quiet_ > 0) return;
        const std::size_t fits = std::min(text.size(), to_.size() - 1 - written_);
        std::copy_n(text.data(), fits, to_.data() + written_);
        written_ += fits;
        to_[written_] = '\0';
    }

    bool name() noexcept;
    bool nested_name() noexcept;
    bool local_name() noexcept;
    bool component() noexcept;
    bool source_name() noexcept;
    bool closure() noexcept;
    bool operator_name() noexcept;
    bool constructor() noexcept;
    bool standard(bool& is_namespace) noexcept;
    bool template_arguments() noexcept;
    bool template_argument() noexcept;
    bool literal() noexcept;
    bool type() noexcept;
    bool special_type() noexcept;
    bool until_end(bool (Reader::*item)()) noexcept;
    bool number_then_underscore() noexcept;

    std::string_view text_;
    const std::span<char> to_;
    std::size_t written_ = 0;
    int quiet_ = 0;
    int depth_ = 0;
    std::string_view last_;  // the component before, for constructors
};

// Up to and with the E.
bool Reader::until_end(bool (Reader::*item)()) noexcept {
    while (!take("E")) {
        if (!(this->*item)()) return false;
    }
    return true;
}

bool Reader::number_then_underscore() noexcept {
    while (take_one_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    }
    return take("_");
}

bool Reader::name() noexcept {
    const Level level(*this);
    if (level.too_deep()) return false;
    if (take("N")) return nested_name();
    if (take("Z")) return local_name();
    if (peek() == 'S') {
        bool is_namespace = false;
        if (!standard(is_namespace)) return false;
        if (is_namespace) write("::");
        if (is_namespace && !component()) return false;
    } else if (!component()) {
        return false;
    }
    return peek() != 'I' || template_arguments();
}

bool Reader::nested_name() noexcept {
    while (take_one_of("rVK")) {
    }
    (void)take_one_of("RO");
    for (bool first = true; !take("E"); first = false) {
        if (peek() == 'I') {
            if (first || !template_arguments()) return false;
            continue;
        }
        if (take("M")) continue;  // of a closure in a member's initializer
        if (!first) write("::");
        const bool of_parameter = first && quiet_ > 0 && take("T");
        bool is_namespace = false;
        if (!(of_parameter    ? number_then_underscore()
              : peek() == 'S' ? first && standard(is_namespace)
                              : component())) {
            return false;
        }
    }
    return true;
}

// A name in a function, such as a lambda's.
bool Reader::local_name() noexcept {
    if (!name()) return false;
    {
        const Quiet quiet(*this);
        if (!until_end(&Reader::type)) return false;
    }
    if (take("s")) return true;
    if (take("d") && !number_then_underscore()) return false;
    write("::");
    if (!name()) return false;
    if (take("__")) return number_then_underscore();
    if (take("_")) return take_one_of("0123456789");
    return true;
}

bool Reader::component() noexcept {
    const Level level(*this);
    if (level.too_deep()) return false;
    (void)take("L");
    bool known = false;
    if (peek_digit()) {
        known = source_name();
    } else if (peek() == 'U') {
        known = closure();
    } else if (peek() == 'C' || peek() == 'D') {
        known = constructor();
    } else {
        known = operator_name();
    }
    while (known && take("B")) {  // an ABI's tag
        const Quiet quiet(*this);
        known = source_name();
    }
    return known;
}

bool Reader::source_name() noexcept {
    std::size_t length = 0;
    while (peek_digit() && length < text_.size()) {
        length = length * 10 + static_cast<std::size_t>(peek() - '0');
        text_.remove_prefix(1);
    }
    if (length == 0 || length > text_.size()) return false;
    last_ = text_.substr(0, length);
    if (last_.starts_with("_GLOBAL__N")) last_ = "(anonymous namespace)";
    text_.remove_prefix(length);
    write(last_);
    return true;
}

bool Reader::closure() noexcept {
    if (take("Ut")) {
        write("{unnamed}");
        return number_then_underscore();
    }
    if (!take("Ul")) return false;
    write("{lambda}");
    const Quiet quiet(*this);
    return until_end(&Reader::type) && number_then_underscore();
}

bool Reader::constructor() noexcept {
    const bool destroys = take("D");
    if (!destroys && !take("C")) return false;
    if (!take_one_of("012345")) return false;
    if (destroys) write("~");
    write(last_);
    return true;
}

bool Reader::operator_name() noexcept {
    if (take("cv")) {
        write("operator (cast)");
        const Quiet quiet(*this);
        return type();
    }
    if (take("li")) {
        write("operator\"\" ");
        return source_name();
    }
    for (const OperatorName& known : kOperators) {
        if (!take(known.code)) continue;
        write("operator");
        write(known.text);
        return true;
    }
    return false;
}

// std, or one of the names that have an abbreviation; a substitution, where nothing is written.
bool Reader::standard(bool& is_namespace) noexcept {
    constexpr OperatorName kNames[] = {
        {"St", "std"},           {"Sa", "std::allocator"}, {"Sb", "std::basic_string"},
        {"Ss", "std::string"},   {"Si", "std::istream"},   {"So", "std::ostream"},
        {"Sd", "std::iostream"},
    };
    for (const OperatorName& known : kNames) {
        if (!take(known.code)) continue;
        is_namespace = known.code == "St";
        last_ = known.text.substr(known.text.find(':') == known.text.npos ? 0 : 5);
        write(known.text);
        return true;
    }
    return quiet_ > 0 && take("S") && number_then_underscore();
}

bool Reader::template_arguments() noexcept {
    const std::string_view before = last_;
    write("<...>");
    const Quiet quiet(*this);
    if (!take("I") || !until_end(&Reader::template_argument)) return false;
    last_ = before;
    return true;
}

bool Reader::template_argument() noexcept {
    const Level level(*this);
    if (level.too_deep()) return false;
    if (take("J")) return until_end(&Reader::template_argument);
    if (peek() == 'L') return literal();
    return type();
}

// Its value are digits, or letters below e: no E before the end.
bool Reader::literal() noexcept {
    if (!take("L")) return false;
    if (take("_Z")) return name() && until_end(&Reader::type);
    if (!type()) return false;
    while (take_one_of("0123456789abcdefn_")) {
    }
    return take("E");
}

bool Reader::type() noexcept {
    const Level level(*this);
    if (level.too_deep()) return false;
    while (take_one_of("PROKVrCG")) {
    }
    if (take("F")) {
        (void)take("Y");
        return until_end(&Reader::type);
    }
    if (take("M")) return type() && type();
    if (take("T")) return number_then_underscore() && (peek() != 'I' || template_arguments());
    if (take("A")) return number_then_underscore() && type();
    if (take("u")) return source_name() && (peek() != 'I' || template_arguments());
    if (peek() == 'D') return special_type();
    if (take_one_of("vwbcahstijlmxynofdegz")) return true;
    return name();
}

// decltype and noexcept expressions are not known here.
bool Reader::special_type() noexcept {
    if (take("Dp")) return type();
    if (take("Do")) return type();
    if (take("Dv")) return number_then_underscore() && type();
    if (take("DF")) return number_then_underscore();
    return take("D") && take_one_of("nacisuhedf");
}

}  // namespace

std::size_t function_name(const char* mangled, std::span<char> to) noexcept {
    to[0] = '\0';
    Reader reader(mangled, to);
    return reader.encoding_name() ? reader.written() : 0;
}

}  // namespace sluice::rt
