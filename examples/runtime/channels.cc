// Two producers, one consumer that waits for either of them, and a channel's end.
#include <cstdio>
#include <optional>

#include "rt/runtime.h"
#include "sync/channel.h"
#include "sync/group.h"
#include "sync/select.h"

using namespace sluice;

int main() {
    rt::Runtime runtime({.workers = 2});
    runtime.run([] {
        sync::Channel<int> numbers(8);  // holds 8; with 0, a send waits for its receiver
        sync::Channel<char> letters;
        sync::Group group(nullptr);
        group.spawn([&] {
            for (int i = 0; i < 100; ++i) numbers.send(i);
            numbers.close();
        });
        group.spawn([&] {
            for (char c = 'a'; c <= 'z'; ++c) letters.send(c);
            letters.close();
        });

        int sum = 0;
        int letters_seen = 0;
        bool numbers_open = true;
        bool letters_open = true;
        while (numbers_open && letters_open) {
            std::optional<int> number;
            std::optional<char> letter;
            const sync::Selected chosen = sync::select(
                {sync::receive_case(numbers, number), sync::receive_case(letters, letter)});
            if (chosen.index == 0 && chosen.closed) numbers_open = false;
            if (chosen.index == 1 && chosen.closed) letters_open = false;
            if (number) sum += *number;
            if (letter) ++letters_seen;
        }
        while (const std::optional<int> number = numbers.receive()) sum += *number;
        while (letters.receive()) ++letters_seen;
        if (group.wait()) std::printf("sum %d, %d letters\n", sum, letters_seen);
    });
}
