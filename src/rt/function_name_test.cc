#include "rt/function_name.h"

#include <cxxabi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "rt/backtrace.h"
#include "rt/elf_symbols.h"
#include "rt/symbol_table.h"

namespace sluice::rt {
namespace {

std::string name_of(const char* mangled) {
    std::array<char, 4096> text;
    const std::size_t length = function_name(mangled, text);
    return {text.data(), length};
}

TEST(FunctionName, OfEveryKind) {
    const char* const cases[][2] = {
        {"_Z4mainv", "main"},
        {"_ZN6sluice4sync5Mutex4lockEv", "sluice::sync::Mutex::lock"},
        {"_ZNK6sluice2rt11SymbolTable4findEm", "sluice::rt::SymbolTable::find"},
        {"_ZN6sluice2rt12_GLOBAL__N_17recurseEi", "sluice::rt::(anonymous namespace)::recurse"},
        {"_ZN6sluice2rt12_GLOBAL__N_1L7recurseEi.cold",
         "sluice::rt::(anonymous namespace)::recurse"},
        {"_ZN6sluice2rt9SchedulerC2ERNS0_7RuntimeE", "sluice::rt::Scheduler::Scheduler"},
        {"_ZN6sluice2rt9SchedulerD0Ev", "sluice::rt::Scheduler::~Scheduler"},
        {"_ZNSt6vectorIiSaIiEED1Ev", "std::vector<...>::~vector"},
        {"_ZNSsC1ERKSs", "std::string::string"},
        {"_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc", "std::operator<<<...>"},
        {"_ZN3foocvbEv", "foo::operator (cast)"},
        {"_ZN3fooixEm", "foo::operator[]"},
        {"_ZZN6sluice2rt5spawnEvENKUlvE_clEv", "sluice::rt::spawn::{lambda}::operator()"},
        {"_ZZN3fooILi5EE3barIJdPFvicEEEEvT_ENUliE0_8__invokeEi",
         "foo<...>::bar<...>::{lambda}::__invoke"},
        {"_ZN3foo3barB5cxx11ILb1ELN1a1bE2ELPKc0EEEvv", "foo::bar<...>"},
    };
    for (const auto& [mangled, expected] : cases) EXPECT_EQ(name_of(mangled), expected) << mangled;
}

TEST(FunctionName, LeavesAloneWhatItDoesNotKnow) {
    for (const char* text :
         {"", "main", "_Z", "_ZN", "_ZN3fo", "_ZN99999999999999999999aE", "_ZNE3", "_ZTV3foo",
          "_ZN3fooIXsrT_5valueEE3barEv", "_ZC1v", "_ZS_3foov"}) {
        EXPECT_EQ(name_of(text), "") << text;
    }
    std::string deep = "_Z3foo";
    for (int i = 0; i < 100'000; ++i) deep += "ILi1EE3barI";
    EXPECT_EQ(name_of(("_ZN3foo" + deep).c_str()), "");
    EXPECT_EQ(name_of(("_Z" + std::string(100'000, 'N') + "1a").c_str()), "");
}

TEST(FunctionName, IsCutToTheSpace) {
    std::array<char, 8> text;
    EXPECT_EQ(function_name("_ZN6sluice4sync5Mutex4lockEv", text), 7u);
    EXPECT_STREQ(text.data(), "sluice:");
    EXPECT_EQ(function_name("_Z4mainv", std::span(text).first(1)), 0u);
}

// The demangler of the C++ library, without what function_name() leaves out; "" where that is not
// easily told.
std::string name_by_library(const char* mangled) {
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
    if (status != 0) return "";
    std::string all = text.get();
    if (all.find_first_of("<{[ '") != all.npos || all.find("operator") != all.npos) return "";
    return all.substr(0, all.find('('));
}

// Every function of this program: where the library's name is a simple one, ours is the same.
TEST(FunctionName, AgreesWithTheLibrary) {
    const ElfSymbols symbols;
    if (symbols.all().empty()) GTEST_SKIP() << "stripped";
    int functions = 0;
    int known = 0;
    int compared = 0;
    for (const Elf64_Sym& symbol : symbols.all()) {
        const std::string mangled = symbols.name(symbol);
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || !mangled.starts_with("_ZN")) continue;
        ++functions;
        const std::string ours = name_of(mangled.c_str());
        if (!ours.empty()) ++known;
        const std::string expected = name_by_library(mangled.c_str());
        if (expected.empty()) continue;
        ++compared;
        EXPECT_EQ(ours, expected) << mangled;
    }
    EXPECT_GT(compared, 100);
    EXPECT_GT(known, functions / 10 * 9) << functions;
}

// Damaged names: read to no further than their end, and written to no more than the space.
TEST(FunctionName, SurvivesDamage) {
    const ElfSymbols symbols;
    std::minstd_rand random(1);
    for (const Elf64_Sym& symbol : symbols.all()) {
        std::string mangled = symbols.name(symbol);
        if (!mangled.starts_with("_Z")) continue;
        mangled[random() % mangled.size()] = static_cast<char>(' ' + random() % 95);
        mangled.resize(1 + random() % mangled.size());
        const std::unique_ptr<char[]> space(new char[64]);
        EXPECT_LT(function_name(mangled.c_str(), {space.get(), 1 + random() % 64}), 64u);
    }
}

TEST(ElfSymbols, FindWhatTheSymbolTableFinds) {
    const ElfSymbols symbols;
    if (symbols.all().empty()) GTEST_SKIP() << "stripped";
    const SymbolTable table = SymbolTable::of_this_program();
    const auto address = reinterpret_cast<std::uintptr_t>(&symbol_at) + 1;
    const Elf64_Sym* const function = symbols.function_at(address - program_base());
    ASSERT_NE(function, nullptr);
    EXPECT_TRUE(table.find(address).name.starts_with("sluice::rt::symbol_at"));
    EXPECT_EQ(name_of(symbols.name(*function)), "sluice::rt::symbol_at");
    EXPECT_EQ(address - program_base() - function->st_value, table.find(address).offset);
    EXPECT_EQ(symbols.function_at(0), nullptr);
    EXPECT_EQ(symbols.function_at(UINTPTR_MAX), nullptr);
}

}  // namespace
}  // namespace sluice::rt
