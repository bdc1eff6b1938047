#!/usr/bin/env python3
"""What each rule of tools/lint.py catches, and what it lets pass."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint


def rules(path, text):
    return [rule for _, rule, _ in lint.check(path, text)]


class CodeRules(unittest.TestCase):
    def test_size(self):
        self.assertEqual(rules("src/base/x.cc", "int x;\n" * 500), [])
        self.assertEqual(rules("src/base/x.cc", "int x;\n" * 501), ["size"])
        self.assertEqual(rules("src/base/x.cc", "// " + "x" * 98 + "\n"), ["columns"])

    def test_functions(self):
        body = "void f(int a) const noexcept {\n" + "    g();\n" * 58 + "}\n"
        self.assertEqual(rules("src/base/x.cc", "namespace a {\n" + body + "}\n"), [])
        long_body = body.replace("{\n", "{\n    if (a) {\n    }\n", 1)
        self.assertEqual(rules("src/base/x.cc", "struct A {\n" + long_body + "};\n"), ["function"])
        constructor = "A::A(int a) : a_(a), b_{a} {\n" + "    g();\n" * 60 + "}\n"
        self.assertEqual(rules("src/base/x.cc", constructor), ["function"])

    def test_long_class_is_no_function(self):
        members = "    int f();\n" * 100
        self.assertEqual(rules("src/base/x.cc", "struct A {\n" + members + "};\n"), [])

    def test_limits(self):
        bound = "inline constexpr int kQueueMax = 5;\n"
        self.assertEqual(rules("src/net/x.cc", bound), ["limits"])
        self.assertEqual(rules("src/net/x.cc", "constexpr int kMaxDepth = 5;\n"), ["limits"])
        self.assertEqual(rules("src/net/x_test.cc", bound), [])
        self.assertEqual(rules(lint.LIMITS_FILE, "#pragma once\n" + bound), [])
        fixed = "constexpr int kDigitsMax = 18;  // given: 63 bits\n"
        self.assertEqual(rules("src/net/x.cc", fixed), [])
        alias = "constexpr int kQueueMax = limits::kQueueMax;\n"
        self.assertEqual(rules("src/net/x.cc", alias), [])

    def test_thread_state(self):
        self.assertEqual(rules("src/net/x.cc", "thread_local int x;\n"), ["thread_local"])
        self.assertEqual(rules(lint.THREAD_LOCAL_FILE, "thread_local int x;\n"), [])
        self.assertEqual(rules("src/net/x.cc", "return -errno;\n"), ["errno"])
        self.assertEqual(rules(lint.ERRNO_FILE, "return -errno;\n"), [])
        self.assertEqual(rules("src/net/x.cc", '// errno\nf("errno", from_errno(1));\n'), [])

    def test_includes(self):
        self.assertEqual(rules("src/net/x.cc", '#include "base/x.h"\n#include "net/y.h"\n'), [])
        self.assertEqual(rules("src/base/x.cc", '#include "net/x.h"\n'), ["include"])
        self.assertEqual(rules("src/etcd/x.cc", '#include "nas/x.h"\n'), ["include"])
        self.assertEqual(rules("src/net/x.cc", '#include "x.h"\n'), ["include"])
        self.assertEqual(rules("src/helpers/x.cc", ""), ["layer"])
        self.assertEqual(rules("src/net/x.h", "int f();\n"), ["guard"])

    def test_banners_and_words(self):
        self.assertEqual(rules("src/net/x.cc", "// ==========\n"), ["banner"])
        self.assertEqual(rules("src/net/x.cc", "// TODO: later\n"), ["word"])


class DocRules(unittest.TestCase):
    def test_links(self):
        self.assertEqual(rules("README.md", "[a](tools/lint.py) `tools/lint.py` `src/none.h`\n"),
                         ["link"])
        self.assertEqual(rules("docs/x.md", "[up](../README.none) [web](https://etcd.io)\n"),
                         ["link"])
        self.assertEqual(rules("docs/x.md", "see src/base/limits.h, docs/formats/ and src/x.h.\n"),
                         ["link"])

    def test_names(self):
        self.assertEqual(rules("docs/x.md", "`limits.h` `kHttp2FrameBytesMax` `serve`\n"), [])
        self.assertEqual(rules("docs/x.md", "`limit.h` `kHttp2FramesMax`\n"), ["link", "link"])

    def test_index(self):
        with open("docs/README.md", encoding="utf-8") as file:
            index = file.read()
        self.assertEqual(rules("docs/README.md", index), [])
        self.assertEqual(rules("docs/README.md", index.replace("wire.md", "io.md")), ["index"])

    def test_files(self):
        with open("docs/runtime-tutorial.md", encoding="utf-8") as file:
            page = file.read()
        self.assertEqual(rules("docs/x.md", page), [])
        self.assertEqual(rules("docs/x.md", page.replace("hello", "hallo", 1)), ["shown"])
        self.assertEqual(rules("docs/x.md", page.replace("balance 150", "balance 100")), ["shown"])
        self.assertEqual(rules("docs/x.md", page.replace("int main() {\n", "int main() {\n\n")),
                         ["shown"] * 8)

    def test_benches(self):
        long_main = "int main() {\n" + "\n" * 60 + "}\n"
        self.assertEqual(rules("bench/x/main.cc", long_main), ["function"])

    def test_examples(self):
        self.assertEqual(rules("examples/runtime/first.cc", ""), [])
        self.assertEqual(rules("examples/runtime/hidden.cc", ""), ["shown"])


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    unittest.main()
